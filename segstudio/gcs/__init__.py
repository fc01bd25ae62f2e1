"""Google Cloud Storage: objects, buckets, access."""
