"""Learning run: read the annotations, learn, promote or keep, write the predictions."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import structlog

from ml_backend.errors import ModelError
from ml_backend.images import ImageSource
from ml_backend.labelstudio.annotations import AnnotationReader
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.responses import Project
from ml_backend.models.device import choose_device
from segmentation_backend.app import load_predictor
from segmentation_backend.learning.card import figures_record, write_card
from segmentation_backend.learning.example import LearningSet, Progress
from segmentation_backend.learning.examples import ExampleReader, Unlabelled
from segmentation_backend.learning.outcome import LearningError
from segmentation_backend.learning.project_model import load_project_model
from segmentation_backend.learning.publish import Publisher
from segmentation_backend.learning.quick import learn_quick
from segmentation_backend.learning.requests import RequestFile
from segmentation_backend.learning.state import (
    RunState,
    mark_published,
    read_state,
    write_state,
)
from segmentation_backend.learning.store import (
    LearnedVersion,
    ProjectKey,
    ProjectStore,
    learned_folder,
    project_key,
)
from segmentation_backend.learning.thorough import learn_thorough
from segmentation_backend.models.base import SegmentationModel
from segmentation_backend.phrases import prompted
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import SegmentationSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes:
        thorough: Whether to fine-tune the network instead of fitting a head.
        unlabelled: Meaning of pixels outside all regions of a submitted task.
        at_once: Whether to learn even if nothing has changed since the last run.
    """

    thorough: bool = False
    unlabelled: Unlabelled = "background"
    at_once: bool = False


class Runner:
    """Learns projects of one Label Studio.

    Args:
        settings: Settings of the segmentation backend.
        label_studio: Client for the Label Studio instance.
        progress: Receiver of the progress.
    """

    def __init__(
        self, settings: SegmentationSettings, label_studio: LabelStudio, progress: Progress
    ) -> None:
        self._settings = settings
        self._label_studio = label_studio
        self._progress = progress
        self._root = learned_folder(settings.models_dir)

    @cached_property
    def _predictor(self) -> SegmentationPredictor:
        return load_predictor(self._settings)

    @cached_property
    def _images(self) -> ImageSource:
        return ImageSource(self._settings)

    def learn(self, project: Project, options: RunOptions) -> dict[str, Any]:
        """Learn from a project's annotations; a better model becomes the current version.

        Returns:
            Record of the verdict with its figures.

        Raises:
            LabelStudioError: Label Studio does not respond.
            LearnedStoreError: The folder of learned models cannot be written.
        """
        key = project_key(project)
        request_file = RequestFile(self._root, key)
        request = request_file.read()
        begun = time.monotonic()
        data, digest = self._read(project, key, options)
        before = read_state(self._root, key)
        if not options.at_once and before.digest == digest and not (request and request.at_once):
            outcome = {"promoted": False, "reason": "nothing has changed since the last run"}
        else:
            config = parse_label_config(project.label_config)
            base = prompted(self._predictor.model, config)
            outcome = self._learn(ProjectStore(self._root, key), base, data, options)
        seconds = time.monotonic() - begun
        write_state(self._root, key, RunState(digest, project.annotations, seconds, time.time()))
        if request is not None:
            request_file.answer(request)
        return {"project": project.id, "seconds": round(seconds, 1), **outcome}

    def publish(self, project: Project, keep_on: Callable[[], bool]) -> bool:
        """Write the predictions of the project's current version; see ``Publisher``."""
        key = project_key(project)
        served = ProjectStore(self._root, key).current()
        predictor = self._predictor.for_project(str(key))
        done = Publisher(self._label_studio, predictor, keep_on).publish(project, self._progress)
        if done:
            mark_published(self._root, key, served)
        return done

    def _read(
        self, project: Project, key: ProjectKey, options: RunOptions
    ) -> tuple[LearningSet, str]:
        reader = AnnotationReader(self._label_studio)
        folder = self._root / str(key) / "masks"
        examples = ExampleReader(reader, self._images, folder, options.unlabelled)
        config = parse_label_config(project.label_config)
        return examples.read(project, config, self._progress)

    def _learn(
        self, store: ProjectStore, base: SegmentationModel, data: LearningSet, options: RunOptions
    ) -> dict[str, Any]:
        name, previous = self._previous(store, base)
        cache = self._root / "features"
        try:
            device = choose_device(self._settings)
            learn = learn_thorough if options.thorough else learn_quick
            learned = learn(data, previous, cache, self._progress, device=device)
        except LearningError as error:
            return {"promoted": False, "reason": str(error)}
        version: LearnedVersion | None = None
        if learned.promoted:
            describe = partial(
                write_card,
                data=data,
                figures=learned.figures,
                classes=learned.model.classes,
                started_from=name,
            )
            version = store.add(learned.model.save, describe)
        return {
            "promoted": learned.promoted,
            "reason": learned.reason,
            "version": version.name if version else None,
            "started_from": name,
            "figures": figures_record(learned.figures),
        }

    def _previous(
        self, store: ProjectStore, base: SegmentationModel
    ) -> tuple[str, SegmentationModel]:
        """Return the model that serves the project, and its name."""
        version = store.current()
        if version is not None:
            try:
                device = choose_device(self._settings)
                return version.name, load_project_model(version.model, base, device)
            except ModelError as error:
                self._progress.drop(version.name, str(error))
        return self._predictor.model_version, base
