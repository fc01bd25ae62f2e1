"""Interactive segmenter: clicks and boxes in, masks out."""
