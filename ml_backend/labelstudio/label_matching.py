"""Match a model's classes to the labels of a project."""

import re
from collections.abc import Mapping, Sequence

from ml_backend.labelstudio.label_config import Label


def match_labels(
    classes: Sequence[str], labels: Sequence[Label], synonyms: Mapping[str, Sequence[str]]
) -> dict[int, str]:
    """Match each class to a label: by ``predicted_values``, by its own name, then by synonyms.

    Args:
        classes: Class names of a model; index 0, the background, has no label.
        labels: Labels of the project's mask controls. Names are compared ignoring case, and hyphen,
            underscore, slash and space count as equal.
        synonyms: Names of labels with the same or a wider meaning, nearest first, by class name in
            lower case with its words joined by spaces.

    Returns:
        Label value by class index; classes without a label are absent.
    """
    claimed = {_key(name): label.value for label in labels for name in label.predicted_values}
    named = {_key(label.value): label.value for label in labels}
    found = {}
    for index, name in enumerate(classes[1:], start=1):
        key = _key(name)
        candidates = [
            claimed.get(key),
            *(named.get(each) for each in (key, *synonyms.get(key, ()))),
        ]
        if label := next(filter(None, candidates), None):
            found[index] = label
    return found


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()
