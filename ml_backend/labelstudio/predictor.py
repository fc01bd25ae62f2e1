"""What the ML API asks of a backend's predictor, in the words of ``label-studio-ml``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageReferenceError, TaskError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Task

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

    def check(self, label_config: LabelConfig) -> None:
        """Raise LabelConfigError, with the fix in its text, where this model cannot serve it."""
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


def image_reference(task: Task, label_config: LabelConfig, to_name: str) -> str:
    """The reference of the image that the image tag ``to_name`` shows of a task.

    Raises:
        ImageReferenceError: The task has none.
    """
    key = label_config.images[to_name].key
    reference = task.data.get(key)
    if not isinstance(reference, str) or not reference.strip():
        raise ImageReferenceError(
            f"task.data has no image under {key!r:.80}",
            f"import the task with a {key!r:.80} field, or change value in <Image value=...>",
        )
    return reference


def references_alone(task: Task, label_config: LabelConfig) -> Task:
    """A task with its images' references and nothing else of its data."""
    found = {image.key: task.data.get(image.key) for image in label_config.images.values()}
    data = {
        key: reference
        for key, reference in found.items()
        if isinstance(reference, str) and len(reference) <= LONGEST_REFERENCE
    }
    return Task(id=task.id, project=task.project, data=data)
