"""Predictions for a whole archive at once: ``segstudio predict``, on Ray Data.

``job`` runs from end to end. ``sources`` are the images, ``stages`` run on Ray's workers,
``pipeline`` joins them, ``shard_sink`` and ``project_sink`` are where predictions go and know which
are present, ``failures`` is the table of failures.
"""
