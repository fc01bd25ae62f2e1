"""What people take away from a project: tables, masks, COCO.

``rows`` makes a row of each annotation, ``join`` adds the manifest's columns, ``pixels`` tells
which regions are masks; ``tables``, ``masks`` and ``coco`` write. A writer is a context that gives
a function to call with each annotation; its output takes its place at a good end only
(``segstudio.data.atomic_files``).
"""
