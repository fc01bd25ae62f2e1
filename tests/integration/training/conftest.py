"""The drawn data set."""

from tests.support.drawn_folder import drawn_folder as drawn_folder
