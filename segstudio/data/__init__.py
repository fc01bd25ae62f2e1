"""Tables, manifests and files on disk."""
