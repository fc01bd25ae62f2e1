"""Naming rules: ``{Username}/{ID}.jpg`` and a row's values give the name of an object."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_backend.errors import SegstudioError

MAX_NAME_BYTES = 1024
"""Maximum length of an object name in Google Cloud Storage."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\\?#\ud800-\udfff]")


class NamingError(SegstudioError):
    """A naming rule, or a name that it gives, is invalid."""


@dataclass(frozen=True)
class NamingRule:
    """Text with column names in braces; names are taken literally, including spaces.

    Attributes:
        text: Text of the rule.
        fields: Columns that the rule uses, in order.
    """

    text: str
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, columns: Sequence[str]) -> "NamingRule":
        """Parse a rule for rows with these columns.

        Raises:
            NamingError: A brace is unbalanced, no column is used, or one does not exist.
        """
        fields = tuple(_FIELD.findall(text))
        if re.search(r"[{}]", _FIELD.sub("", text)):
            raise NamingError(f"the rule {text!r} has an unbalanced brace")
        if not fields:
            raise NamingError(
                f"the rule {text!r} gives all images the same name",
                'put columns in braces, as in "{Username}/{ID}.jpg"',
            )
        for field in fields:
            if field not in columns:
                raise NamingError(
                    f"the rule {text!r} uses a column {field!r} that does not exist",
                    f"the columns are: {', '.join(columns)}",
                )
        return cls(text, fields)

    @property
    def prefix(self) -> str:
        """Common beginning of all names."""
        return self.text.partition("{")[0]

    def name(self, values: Mapping[str, str]) -> str:
        """Return the object name of one row.

        Raises:
            NamingError: A value is empty, or the name is ambiguous, leaves its folder, or cannot be
                part of an address.
        """
        for field in self.fields:
            if not values[field].strip():
                raise NamingError(f"{field} is empty")
        name = _FIELD.sub(lambda match: values[match[1]], self.text)
        _check_name(name)
        return name


def _check_name(name: str) -> None:
    if unfit := _UNFIT.search(name):
        raise NamingError(f"{name!r} has the character {unfit[0]!r}, not allowed in addresses")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise NamingError(f"{name[:40]!r}… is longer than {MAX_NAME_BYTES} bytes")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise NamingError(f"{name!r} is not a path inside the bucket")
