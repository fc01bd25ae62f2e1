"""ML API over HTTP, model lifecycle, settings, logs and metrics."""
