"""Cache of embeddings: memory, then disk, then Redis, combined by ``tiers.TieredStore``.

``lru.LruCache`` holds tensors; ``disk.DiskStore`` and ``redis_tier.RedisStore`` hold bytes, which a
``base.Codec`` encodes and validates. Each backend keeps its own kind of embedding.
"""
