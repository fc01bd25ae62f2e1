"""Choose which predictions labelers see: ``model_version`` of a project."""

from typing import Any

from ml_backend.labelstudio.client import UNCERTAINTY, LabelStudio
from ml_backend.labelstudio.responses import Connection

LEARNED_PREFIX = "learned-"
"""Prefix of the versions of models learned from a project's annotations."""

VERSION_PREFIXES = ("segmentation-", LEARNED_PREFIX)
"""Prefixes of the segmentation backend's model versions."""


def show_version(label_studio: LabelStudio, project: int, version: str) -> None:
    """Show the predictions of a version to labelers.

    ``model_version`` of a project is a stored version or the title of a connection. With the title,
    the label stream asks for predictions of the newest version that are missing. Uncertainty
    sampling orders by the scores of predictions whose version equals ``model_version``, so there
    the title of the connection has to be the version (observed in Label Studio 1.23.2).

    Does nothing if predictions are switched off, or another model's are chosen.

    Raises:
        LabelStudioError: Label Studio refuses a request.
    """
    shown: dict[str, Any] = label_studio.call("GET", f"/api/projects/{project}")
    connections = label_studio.connections(project).items()
    ours = next((each for each in connections if _is_ours(each[1])), None)
    if ours is None or not shown["show_collab_predictions"]:
        return
    id_, connection = ours
    title, stored = connection.title, str(shown["model_version"] or "")
    if stored not in ("", title) and not stored.startswith(VERSION_PREFIXES):
        return
    if shown["sampling"] == UNCERTAINTY and title != version:
        title = version
        body = {"title": title, "url": connection.url, "project": project}
        label_studio.call("PATCH", f"/api/ml/{id_}", json=body)
    if stored != title:
        label_studio.call("PATCH", f"/api/projects/{project}", json={"model_version": title})


def _is_ours(connection: Connection) -> bool:
    """Return whether a connection leads to a segmentation backend, by its version."""
    return not connection.interactive and connection.answer.startswith(VERSION_PREFIXES)
