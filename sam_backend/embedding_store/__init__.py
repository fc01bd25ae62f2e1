"""Where embeddings are kept: memory, then disk, then Redis; ``tiers.Tiers`` is all of them.

``lru.LruCache`` holds tensors; ``disk.DiskTier`` and ``redis_tier.RedisTier`` hold bytes, which
``codec`` makes and checks.
"""
