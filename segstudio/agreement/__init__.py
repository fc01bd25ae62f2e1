"""How much annotators agree.

``collect`` reads the annotations, ``annotation_store`` keeps them on disk, ``compare`` goes through
the images that two or more have annotated, ``measures`` are the numbers, ``report`` gathers and
writes them, ``chart`` draws them.
"""
