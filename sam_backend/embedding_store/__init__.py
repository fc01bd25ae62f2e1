"""Where embeddings are kept: memory, then disk, then Redis; ``tiers.TieredStore`` is all of them.

``lru.LruCache`` holds tensors; ``disk.DiskStore`` and ``redis_tier.RedisStore`` hold bytes, which
``codec`` makes and checks.
"""
