"""The interactive segmenter: clicks and boxes in, one mask out."""
