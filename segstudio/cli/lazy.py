"""Commands whose modules are imported when they are run, so that ``segstudio --help`` is quick.

Click's recipe for lazily loaded subcommands, for Typer:
https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
"""

from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from ml_backend.extras import require_extra


class LazyCommand(TyperCommand):
    """Name and summary of a command or group; its module is imported to parse its arguments.

    Args:
        name: Name on the command line, and of its module in ``segstudio.cli``, whose ``app`` is a
            Typer application.
        summary: First line of its help, for the list of commands.
        hidden: Whether the list of commands leaves it out.
        extra: Extra of the distribution that the module needs to be imported; empty: none.
    """

    def __init__(self, name: str, summary: str, *, hidden: bool = False, extra: str = "") -> None:
        super().__init__(name, help=summary, hidden=hidden)
        self._extra = extra

    # Returns Click's command and context, which Typer vendors in a private package.
    def load(self) -> Any:
        """Import the module and return its command.

        Raises:
            SettingsError: The extra is not installed.
        """
        if self._extra:
            require_extra(self._extra)
        command = get_command(import_module(f"segstudio.cli.{self.name}").app)
        command.name = self.name
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments with the imported command, which Click then runs or completes."""
        return self.load().make_context(*args, **kwargs)


class LazyGroup(TyperGroup):
    """A group of lazy commands, which subclasses name in ``lazy_commands``."""

    lazy_commands: tuple[LazyCommand, ...] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.lazy_commands:
            self.add_command(command)
