"""Models of the sam backend: an image becomes an embedding, a prompt a mask."""
