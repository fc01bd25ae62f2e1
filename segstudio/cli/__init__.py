"""The groups of commands, one module each: options and words here, the work in modules beside.

A module has ``app``, a Typer application that ``segstudio.cli`` adds under the group's name. A
command's body runs in ``console.reporting``, which turns our errors into one line and an exit code
and gives the ``Report`` that the outcome goes to. What takes long to import is imported by the
command that needs it, so that ``--help`` comes at once.
"""
