"""Write a version's predictions of unfinished tasks into Label Studio, the next tasks first.

A task's prediction is written before the older ones of this program are deleted, and every portion
reads the tasks again, so the next run continues a killed one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.labelstudio.client import UNCERTAINTY, LabelStudio
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.labelstudio.queries import TaskFilter
from ml_backend.labelstudio.responses import Project
from ml_backend.labelstudio.schemas import Prediction, Task, TaskWithLogin
from ml_backend.labelstudio.shown_version import VERSION_PREFIXES, show_version

PORTION = 10
"""Number of tasks that are predicted and written together."""

_PORTION_SECONDS = 600.0
_UNFINISHED = (
    TaskFilter("total_annotations", "equal", 0),
    TaskFilter("cancelled_annotations", "equal", 0),
)


class Watcher(Protocol):
    """Receiver of the progress of predictions."""

    def step(self, text: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` tasks are processed."""
        ...

    def drop(self, identity: str, reason: str) -> None:
        """Report a task without a prediction."""
        ...


@dataclass(frozen=True)
class Publisher:
    """Writer of a predictor's predictions.

    Attributes:
        label_studio: Client for the Label Studio instance.
        predictor: Predictor of the project, with the current version.
        keep_on: Whether to continue; called before each batch.
    """

    label_studio: LabelStudio
    predictor: Predictor
    keep_on: Callable[[], bool]

    def publish(self, project: Project, watcher: Watcher) -> bool:
        """Give each unfinished task a prediction of the version, and delete the older ones.

        Returns:
            Whether all tasks were processed; False if ``keep_on`` stopped it.

        Raises:
            LabelStudioError: Label Studio does not respond, or refuses a request.
        """
        config = parse_label_config(project.label_config)
        unfinished = list(self._next_tasks(project))  # ordered by the previous version's scores
        show_version(self.label_studio, project.id, self.predictor.model_version)
        for start in range(0, len(unfinished), PORTION):
            if not self.keep_on():
                return False
            self._portion(project, config, unfinished[start : start + PORTION], watcher)
            done = min(start + PORTION, len(unfinished))
            watcher.step("writing predictions", done, len(unfinished))
        return True

    def _next_tasks(self, project: Project) -> Iterator[int]:
        """Yield the unfinished tasks in the order in which labelers get them."""
        fields = "id,predictions_score"
        tasks = self.label_studio.tasks(project.id, fields, where=_UNFINISHED)
        found = [(task.get("predictions_score"), int(task["id"])) for task in tasks]
        if project.sampling == UNCERTAINTY:
            found.sort(key=lambda each: (each[0] is not None, each[0] or 0.0, each[1]))
        return (id_ for _, id_ in found)

    def _portion(
        self, project: Project, config: LabelConfig, ids: Sequence[int], watcher: Watcher
    ) -> None:
        for task in self._missing(project, ids):
            for outcome in self._predict(task, config):
                if isinstance(outcome, TaskError):
                    watcher.drop(f"task {task.id}", str(outcome))
                elif isinstance(outcome, Prediction):
                    self._write(project, task, outcome)
        for id_ in ids:
            self._delete_older(id_)

    def _missing(self, project: Project, ids: Sequence[int]) -> Sequence[Task]:
        """Return the tasks that are still unfinished and have no prediction of this version."""
        which = TaskFilter("id", "in_list", ids)
        fields = "id,data,meta,total_annotations,predictions_model_versions"
        found = self.label_studio.find_tasks(project.id, which, fields, len(ids))
        found.sort(key=lambda task: ids.index(task["id"]))
        version = self.predictor.model_version
        return [
            TaskWithLogin(
                id=task["id"],
                project=project.id,
                data=task["data"],
                meta=task["meta"],
                login=project.login,
            )
            for task in found
            if not task["total_annotations"]
            and version not in str(task.get("predictions_model_versions") or "")
        ]

    def _predict(self, task: Task, config: LabelConfig) -> Iterator[Prediction | TaskError | None]:
        deadline = Deadline.after(_PORTION_SECONDS)
        return self.predictor.predict([task], None, label_config=config, deadline=deadline)

    def _write(self, project: Project, task: Task, prediction: Prediction) -> None:
        body = {"task": task.id, **prediction.model_dump()}
        self.label_studio.import_predictions(project.id, [body])

    def _delete_older(self, task: int) -> None:
        """Delete this program's other predictions of a task, unless it has been annotated."""
        if self.label_studio.call("GET", f"/api/tasks/{task}/annotations/"):
            return
        for each in self.label_studio.call("GET", "/api/predictions", params={"task": task}):
            version = str(each["model_version"] or "")
            if version.startswith(VERSION_PREFIXES) and version != self.predictor.model_version:
                self.label_studio.call("DELETE", f"/api/predictions/{each['id']}/")
