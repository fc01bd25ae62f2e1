"""What both backends stand on: the Label Studio ML API, images and regions. Knows no model."""

__version__ = "0.1.0"
"""Version of segstudio, of the distribution and of both images; it stands here alone."""
