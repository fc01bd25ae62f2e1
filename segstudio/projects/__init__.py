"""Labeling projects: templates, tasks, creation."""
