"""Protocol of a backend's predictor, in the vocabulary of ``label-studio-ml``."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Task, TaskWithLogin
from ml_backend.labelstudio.task_images import references

LONGEST_REFERENCE = 256 << 10
"""Maximum characters of a stored reference; a longer one embeds the whole image."""


class Predictor(Protocol):
    """Predictor of a backend: knows a model and Label Studio's formats, but not HTTP.

    One instance serves all requests from several threads, so it stores nothing of a request.
    """

    @property
    def model_version(self) -> str:
        """Model version for ``/setup`` and ``/predict``; changes only when the model does."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, the background first; empty if the model names none."""
        ...

    @property
    def learns(self) -> bool:
        """Whether a project's own labels are learned from its annotations."""
        ...

    @property
    def reads_text(self) -> bool:
        """Whether the model finds what a noun phrase names."""
        ...

    def for_project(self, project: object) -> "Predictor":
        """Return the predictor that serves a project, which may have its own model.

        Args:
            project: ``"<id>.<created unix time>"`` as sent by Label Studio; may be any value.
        """
        ...

    def check(self, label_config: LabelConfig) -> str:
        """Check whether this model can serve a label config.

        Returns:
            Advice for the author of the label config; usually empty.

        Raises:
            LabelConfigError: The model cannot serve it; the message contains the fix.
        """
        ...

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        """Predict each task, in order.

        Args:
            tasks: Tasks to predict: one in an interactive call, any number in a batch.
            context: Prompts of the labeler; None in a batch.
            label_config: Label config of the project, already passed by ``check``.
            deadline: Deadline of the last prediction.

        Yields:
            The prediction of each task, None if this backend has none to make, or the error that
            prevented it.
        """
        ...


def references_alone(task: Task, label_config: LabelConfig) -> Task:
    """Return a task whose data contain nothing but its image references."""
    data: dict[str, Any] = {}
    for image in label_config.images.values():
        kept = [each for each in references(task.data, image) if 0 < len(each) <= LONGEST_REFERENCE]
        if kept:
            data[image.key] = kept if image.pages else kept[0]
    return TaskWithLogin(id=task.id, project=task.project, data=data, login=task.credentials)
