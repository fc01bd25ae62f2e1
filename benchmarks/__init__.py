"""How fast, how frugal and how steady it is: ``make bench``."""
