"""The command line, a module for each command or group: options and words; the work is elsewhere.

A module has ``app``, a Typer application, which ``main`` names with a summary and ``lazy`` imports
when the command is run. A command's body runs in ``console.reporting``, which turns errors into one
line and an exit code, and gives the ``Report`` that writes lines, tables, bars and JSON.
"""
