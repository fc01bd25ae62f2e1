"""Models of the segmentation backend: arrays in, arrays out."""
