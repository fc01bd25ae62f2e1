"""What people take away from a project: tables, masks, COCO.

``run`` exports from end to end. ``rows`` makes a row of each annotation, ``manifest_join`` adds the
manifest's columns, ``mask_regions`` finds the regions that are masks; ``tables``, ``masks`` and
``coco`` write. A writer is a context that gives
a function to call with each annotation; its output takes its place at a good end only
(``segstudio.data.atomic_files``).
"""
