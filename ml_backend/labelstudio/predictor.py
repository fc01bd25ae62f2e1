"""What the ML API asks of a backend's predictor, in the words of ``label-studio-ml``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Task, TaskWithLogin
from ml_backend.labelstudio.task_images import references

LONGEST_REFERENCE = 256 << 10
"""Characters of a reference that is kept or passed on; a longer one is a whole image in itself."""


class Predictor(Protocol):
    """Knows a model and Label Studio's vocabulary, and nothing of HTTP.

    One instance serves every request from several threads, so it keeps nothing of a request.
    """

    @property
    def model_version(self) -> str:
        """One constant for ``/setup`` and ``/predict`` alike; changes only when the model does."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """What the model tells apart, the background first; empty where it names nothing."""
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
        """Return the predictor that serves a project: its model may be one of its own.

        Args:
            project: ``"<id>.<created unix time>"`` as Label Studio sends it; may be anything else.
        """
        ...

    def check(self, label_config: LabelConfig) -> str:
        """Check whether this model can serve a label config.

        Returns:
            What its author should know; usually nothing.

        Raises:
            LabelConfigError: It cannot; the fix is in its text.
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
        """Answer each task, in order.

        Args:
            tasks: One in an interactive call, any number in a batch.
            context: The labeler's prompts; None in a batch.
            label_config: The project's, passed by ``check`` before.
            deadline: By when the last answer is due.

        Yields:
            For each task its prediction, None where this backend has nothing to say, or why there
            is none.
        """
        ...

    def fit(self, event: str, data: Mapping[str, Any]) -> None:
        """Take note of something that happened in Label Studio; must return at once."""
        ...


def references_alone(task: Task, label_config: LabelConfig) -> Task:
    """A task with its images' references and nothing else of its data."""
    data: dict[str, Any] = {}
    for image in label_config.images.values():
        kept = [each for each in references(task.data, image) if 0 < len(each) <= LONGEST_REFERENCE]
        if kept:
            data[image.key] = kept if image.pages else kept[0]
    return TaskWithLogin(id=task.id, project=task.project, data=data, login=task.credentials)
