"""Exports of annotations: tables, masks, COCO and other formats.

``run`` exports from end to end. ``rows`` turns each annotation into a row, ``manifest_join`` adds
the manifest's columns, ``mask_regions`` selects the regions that are masks. There is a module for
each format: a context that returns a function to call with each annotation or sample. The output
appears only when it is complete (``segstudio.data.atomic_files``).
"""
