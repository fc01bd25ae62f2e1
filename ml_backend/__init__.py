"""Foundation of both backends: Label Studio ML API, images, regions. Independent of any model."""

__version__ = "0.2.0"
"""Version of segstudio, of the distribution and of both images; defined only here."""
