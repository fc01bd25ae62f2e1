"""What several annotators say together, and a project where a reviewer corrects it.

``merge`` has the rules, arrays in, arrays out; ``votes`` applies them to the images that two or
more have annotated; ``review`` writes the result into a review project, ``maps`` into a folder.
"""
