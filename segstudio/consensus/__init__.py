"""Consensus of several annotators, and a project where a reviewer corrects it.

``merge`` has the rules on arrays; ``votes`` applies them to the images with two or more
annotations; ``review`` writes the result into a review project, ``maps`` into a folder.
"""
