"""Predictions for a whole archive at once: ``segstudio predict``, on Ray Data.

``sources`` say which images, ``worker`` is what runs on Ray's workers, ``pipeline`` joins its
stages, ``shards`` and ``project`` are where predictions go and know which are there already,
``run`` tells what is left and writes what gets ready.
"""
