"""Labels and typed texts as noun phrases, for models that find what a phrase names."""

import re
from collections.abc import Mapping
from typing import Final

from ml_backend.labelstudio.controls import Label

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "tailleur": ("women's suit",),
    "jersey shirt": ("t-shirt",),
    "other tops": ("top",),
    "other accessories": ("sunglasses", "glasses", "watch", "tie"),
    "footwear": ("shoe", "boot"),
    "knitwear": ("sweater", "cardigan"),
    "swimwear": ("swimsuit", "bikini"),
}
"""Names that are no noun phrases → phrases that are."""

# A hyphen after a single letter belongs to its word: t-shirt.
_SEPARATORS = r"[/,;&]|(?<!\b[^\W_])-"
_WORD = re.compile(r"(?=[a-z]*[aeiouy])[a-z]{2,}")


def phrases_of(label: Label) -> tuple[str, ...]:
    """Return the noun phrases that stand for a label.

    Its attribute ``prompt`` ("scarf; glove"), else its ``predicted_values``, else the name that
    labelers read: the phrases of a known name, or its parts ("bag/belt": bag, belt).
    """
    return prompt_of(label) or label.predicted_values or _phrases_of_name(label)


def prompt_of(label: Label) -> tuple[str, ...]:
    """Return the noun phrases in a label's attribute ``prompt``; nothing without one."""
    return phrases_in(label.attributes.get("prompt", ""))


def phrases_in(text: str) -> tuple[str, ...]:
    """Return the noun phrases of a text: "shoes; bag" holds two."""
    return _parts(text, ";")


def has_no_words(label: Label) -> bool:
    """Return whether a label's phrases come from a code such as ``lbl_3``, not a word."""
    if prompt_of(label) or label.predicted_values:
        return False
    return any(
        re.search(r"\d", phrase) or not _WORD.search(phrase) for phrase in _phrases_of_name(label)
    )


def _phrases_of_name(label: Label) -> tuple[str, ...]:
    name = label.attributes.get("value") or label.value  # its alias may be a code
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.sub(r"[_\s]+", " ", spaced).strip().casefold()
    return KNOWN.get(words.replace("-", " ")) or _parts(words, _SEPARATORS) or (name,)


def _parts(text: str, separators: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(separators, text))
    return tuple(part for part in parts if part)
