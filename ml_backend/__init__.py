"""What both backends stand on: the Label Studio ML API, images and regions. Knows no model."""
