"""Inter-annotator agreement.

``collect`` reads the annotations, ``annotation_store`` keeps them on disk, ``compare`` compares the
images with two or more annotations, ``measures`` has the statistics, ``report`` collects and writes
the results, ``chart`` draws them.
"""
