"""Report on labeling projects for project leads.

``facts`` reads the projects: all tasks without their results, and a sample with them.
``suggestions`` compares suggestions with submissions; ``times`` has the statistics of durations;
``thumbnails`` draws the images that annotators changed most; ``page`` assembles the parts made by
``html``, and ``numbers`` writes the same numbers as CSV.
"""
