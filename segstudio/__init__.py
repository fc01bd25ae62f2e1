"""The command line of people who run labeling projects, and the figures it draws for them."""
