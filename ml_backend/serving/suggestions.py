"""Suggestions: what a labeler gets for a prompt, with the reason where nothing was found."""

from collections.abc import Sequence

from ml_backend.errors import TaskError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.prompts import has_prompts
from ml_backend.labelstudio.schemas import Prediction, PredictRequest, StatusText, Suggestion, Task
from ml_backend.labelstudio.status import status_text
from ml_backend.serving.service import Outcome

NOTHING_FOUND = "no object here"
"""Text for the labeler if the model finds nothing."""

_MOST_SHOWN = 1000


class Suggestions:
    """Turns outcomes into suggestions; remembers the tasks whose labelers see a reason."""

    def __init__(self) -> None:
        self._shown: dict[str, None] = {}

    def found(
        self, body: PredictRequest, outcomes: Sequence[Outcome], version: str
    ) -> list[Suggestion]:
        """Return the suggestion for each task of an interactive call.

        Args:
            body: The call.
            outcomes: Outcome of each task.
            version: Model version.
        """
        return [
            self._of(body, task, outcome, version)
            for task, outcome in zip(body.tasks, outcomes, strict=True)
        ]

    def nothing(self, body: PredictRequest, text: str, version: str) -> list[Suggestion]:
        """Return an empty suggestion for each task, with a text for the labeler unless empty.

        Raises:
            LabelConfigError: The label config of the call is invalid.
        """
        return [
            Suggestion(
                result=self._status(body, task, text) if text else [],
                score=0,
                model_version=version,
            )
            for task in body.tasks
        ]

    def _of(self, body: PredictRequest, task: Task, outcome: Outcome, version: str) -> Suggestion:
        """Return the regions for a click, and what was not found if the label config shows it."""
        found = outcome if isinstance(outcome, Prediction) else None
        regions = found.result if found else []
        status = [] if outcome is None else self._status(body, task, _reason(outcome))
        return Suggestion(
            result=[*regions, *status], score=found.score if found else 0, model_version=version
        )

    def _status(self, body: PredictRequest, task: Task, text: str) -> list[StatusText]:
        """Return the text for the labeler; an empty one clears what was shown before."""
        if not has_prompts(body.context):
            return []
        key = f"{task.project!r:.40} {task.id!r:.40}"
        if not text and key not in self._shown:
            return []
        self._shown.pop(key, None)
        if text:
            self._shown[key] = None
            while len(self._shown) > _MOST_SHOWN:
                self._shown.pop(next(iter(self._shown)), None)
        return status_text(parse_label_config(body.label_config), text)


def _reason(outcome: Prediction | TaskError) -> str:
    """Return what the labeler reads; empty if everything was found."""
    if isinstance(outcome, TaskError):
        return outcome.message
    return outcome.remark or ("" if outcome.result else NOTHING_FOUND)
