"""Naming rules: ``{Username}/{ID}.jpg`` and a row's values make the name of an object."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_backend.errors import SegstudioError

MAX_NAME_BYTES = 1024
"""Google Cloud Storage's limit."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\\?#\ud800-\udfff]")


class NamingError(SegstudioError):
    """A naming rule, or the name that it makes of a row, cannot be used."""


@dataclass(frozen=True)
class NamingRule:
    """A text with columns in braces; a column's name is taken as it is, spaces and all.

    Attributes:
        text: The rule.
        fields: The columns it asks for, in order.
    """

    text: str
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, columns: Sequence[str]) -> "NamingRule":
        """Read a rule for rows that have these columns.

        Raises:
            NamingError: A brace has no partner, no column is asked for, or one that is not there.
        """
        fields = tuple(_FIELD.findall(text))
        if re.search(r"[{}]", _FIELD.sub("", text)):
            raise NamingError(f"the rule {text!r} has a brace without its partner")
        if not fields:
            raise NamingError(
                f"the rule {text!r} gives all images the same name",
                'put columns in braces, as in "{Username}/{ID}.jpg"',
            )
        for field in fields:
            if field not in columns:
                raise NamingError(
                    f"the rule {text!r} asks for a column {field!r} that is not there",
                    f"the columns are: {', '.join(columns)}",
                )
        return cls(text, fields)

    @property
    def prefix(self) -> str:
        """What all names begin with."""
        return self.text.partition("{")[0]

    def name(self, values: Mapping[str, str]) -> str:
        """Name the object of one row.

        Raises:
            NamingError: A value is empty, or the name cannot be kept apart from others, leaves
                its folder, or does not survive in addresses.
        """
        for field in self.fields:
            if not values[field].strip():
                raise NamingError(f"{field} is empty")
        name = _FIELD.sub(lambda match: values[match[1]], self.text)
        _check_name(name)
        return name


def _check_name(name: str) -> None:
    if unfit := _UNFIT.search(name):
        raise NamingError(f"{name!r} has the character {unfit[0]!r}, which addresses cannot hold")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise NamingError(f"{name[:40]!r}… is longer than {MAX_NAME_BYTES} bytes")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise NamingError(f"{name!r} is no path inside the bucket")
