"""Drawn people, textures and scenes, for samples, training and tests."""
