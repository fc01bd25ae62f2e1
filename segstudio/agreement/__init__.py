"""How much annotators agree.

``spool`` keeps what each said of each image on disk, ``compare`` goes through the images that two
or more have annotated, ``measures`` are the numbers, ``chart`` draws them.
"""
