"""Fashion predictor: a task image in, one region per garment out."""
