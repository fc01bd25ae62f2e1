"""Command line for labeling projects: setup, data, bulk predictions, exports, reports."""
