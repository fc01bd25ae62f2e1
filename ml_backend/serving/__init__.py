"""Serving: the ML API over HTTP, the life of a model in a process, settings, logs and metrics."""
