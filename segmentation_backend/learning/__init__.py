"""Learning a project's own labels from its annotations."""
