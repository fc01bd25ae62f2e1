"""Cache of embeddings: memory, then disk, then Redis, combined by ``tiers.TieredStore``.

``lru.LruCache`` holds tensors; ``disk.DiskStore`` and ``redis_tier.RedisStore`` hold bytes, which
``codec`` encodes and validates.
"""
