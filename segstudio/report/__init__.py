"""A report on labeling projects for the person who leads them.

``facts`` reads the projects, all tasks without their results and a sample with them;
``suggestions`` compares what was suggested with what was submitted; ``times`` are the statistics of
seconds; ``thumbnails`` draws the images that people changed most; ``page`` puts ``html`` together,
and ``numbers`` writes the same as CSV.
"""
