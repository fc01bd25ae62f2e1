"""Bulk predictions: ``segstudio predict``, on Ray Data.

``job`` runs from end to end. ``sources`` lists the images, ``stages`` run on Ray's workers,
``pipeline`` joins them, ``shard_sink`` and ``project_sink`` store predictions and know which exist,
``failures`` is the table of failures.
"""
