"""Learn a head in seconds: features, samples, a fit, figures on held-out images, a verdict."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml_backend.errors import TaskError
from segmentation_backend.classes import COUNTABLE_CLASSES, EMBEDDED_CLASSES
from segmentation_backend.learning import gate, sampling
from segmentation_backend.learning.calibration import calibrate
from segmentation_backend.learning.evaluation import Contender, Measured, View, matching, owners
from segmentation_backend.learning.example import FEWEST, Example, LearningSet, Progress
from segmentation_backend.learning.feature_cache import FeatureCache
from segmentation_backend.learning.head import Samples, fit
from segmentation_backend.learning.learned_model import LearnedModel, Recipe, shared_extractor
from segmentation_backend.learning.outcome import Figures, LabelFigure, LearningError
from segmentation_backend.learning.project_model import ProjectModel
from segmentation_backend.learning.sharing import Share
from segmentation_backend.models.base import SegmentationModel, TextPromptedModel

USUAL_IMAGES: Final = 40  # for which the penalties of a head hold; more images need less of them
MOST_MEASURED: Final = 200  # held-out images that models are measured on


@dataclass(frozen=True)
class Learned:
    """Outcome of a run.

    Attributes:
        model: Learned model.
        promoted: Whether it will serve.
        reason: Human-readable reason in one line.
        figures: Figures of the old and the new model.
    """

    model: ProjectModel
    promoted: bool
    reason: str
    figures: Figures


def learn_quick(
    data: LearningSet,
    previous: SegmentationModel,
    cache: Path,
    progress: Progress,
    *,
    device: str = "cpu",
) -> Learned:
    """Learn a project's labels from its annotated images.

    Memory use does not depend on the number of images, which are read one by one.

    Args:
        data: Annotated images.
        previous: Current model of the project: its own, or the shipped model.
        cache: Folder for features of images.
        progress: Notified of each image; may raise to stop the run.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.

    Raises:
        LearningError: There are too few annotations.
    """
    return Run(data, previous, cache, progress, device).learn()


class Run:
    """One run; holds samples of images, never images.

    Args:
        data: Annotated images.
        previous: Current model of the project.
        cache: Folder for features of images.
        progress: Notified of each image.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.

    Attributes:
        folds: Examples to learn from and to measure on.
        base: Model of projects that have learned nothing.
        countable: Labels of classes that appear more than once on one person.
    """

    def __init__(
        self,
        data: LearningSet,
        previous: SegmentationModel,
        cache: Path,
        progress: Progress,
        device: str,
    ) -> None:
        self._data = data
        self._previous = previous
        self._progress = progress
        self._owners = _owners(data)
        self._extractor = shared_extractor(device, garments=bool(self._owners))
        self._cache = FeatureCache(cache, self._extractor.version)
        self.base = previous.base if isinstance(previous, ProjectModel) else previous
        self._known = _classes(self.base, data)
        known = self._known.items()
        self.countable = tuple(sorted(n for n, names in known if COUNTABLE_CLASSES & set(names)))
        self.folds = gate.folds(data.examples)
        self._samples: dict[str, Samples] = {}

    def learn(self) -> Learned:
        """Read, fit, measure, judge."""
        self._read()
        models = [self._fitted(fold.learned) for fold in self.folds]
        rivals = [self._rival(fold) for fold in self.folds]
        bases = [] if self._previous is self.base else [[self.base]]
        old, new, *others = self.measured(rivals, models, *bases)
        shipped = others[0] if others else old
        model = models[0] if len(models) == 1 else self._fitted(self._data.examples)
        head = self._outcome(model, Share(), old, new)
        outcomes = {Share(): head}
        known = self._known_ious(shipped)
        share = Share.of(known, head.figures)
        if share == Share():
            share = share.revised(known, head.figures, head.figures)
        while share not in outcomes:
            sharing = [each.with_recipe(**self._changes(share)) for each in models]
            (found,) = self.measured(sharing)
            outcomes[share] = self._outcome(model, share, old, found)
            share = share.revised(known, head.figures, outcomes[share].figures)
        return max(outcomes.values(), key=lambda each: (each.promoted, each.figures.new or 0))

    def _outcome(self, model: LearnedModel, share: Share, old: Measured, new: Measured) -> Learned:
        changed = model.with_recipe(**self._changes(share), calibration=calibrate(new.pairs))
        return self.judged(changed, old, new, len(self._samples))

    def _changes(self, share: Share) -> dict[str, Any]:
        """Return the fields of a recipe that share the labels."""
        shipped = {label: self._known[label] for label in sorted(share.left)}
        return {"shipped": shipped, "whole": tuple(sorted(share.whole))}

    def _read(self) -> None:
        """Draw samples from the images to learn from."""
        learned = {each.identity: each for fold in self.folds for each in fold.learned}
        chosen = sampling.choose(list(learned.values()), sampling.MOST_IMAGES)
        most = sampling.places_per_region(chosen)
        for view, identity in self.views(chosen, "reading images"):
            seed = int(identity[:8], 16)
            self._samples[identity] = sampling.sample(view.features, view.mask, most, seed)
        with_labels = sum(bool(each.labels.any()) for each in self._samples.values())
        if with_labels < FEWEST:
            raise LearningError(
                f"{with_labels} annotated images have masks to learn from",
                f"learning starts at {FEWEST}; suggestions are of use from about 20 on",
            )

    def views(self, examples: Sequence[Example], step: str) -> Iterator[tuple[View, str]]:
        """Load examples, one at a time; those that cannot be loaded are reported."""
        for number, example in enumerate(examples):
            self._progress.step(step, number, len(examples))
            try:
                image, mask = example.load()
            except TaskError as error:
                self._progress.drop(example.identity, str(error))
            else:
                extract = partial(self._extractor.extract, image)
                features = self._cache.get(example.identity, extract)
                yield View(image, mask, features, self._extractor.version), example.identity
        self._progress.step(step, len(examples), len(examples))

    def _fitted(self, examples: Iterable[Example]) -> LearnedModel:
        """Fit a head to those of ``examples`` that were sampled."""
        identities = [each.identity for each in examples if each.identity in self._samples]
        samples = Samples.join([self._samples[identity] for identity in identities])
        recipe = Recipe(
            self._data.labels,
            self._extractor.version,
            bool(self._owners),
            countable=self.countable,
            learned_from=tuple(identities) if len(self.folds) > 1 else (),
        )
        decay = self._extractor.decay * np.float32(USUAL_IMAGES / len(identities))
        head = fit(samples, len(self._data.labels), decay, self._owners)
        return LearnedModel(head, recipe, self._extractor, self.base)

    def _rival(self, fold: gate.Fold) -> SegmentationModel:
        """Return the previous model as if it had not seen the images of ``fold``."""
        previous = self._previous
        if not isinstance(previous, LearnedModel):
            return previous
        seen = set(previous.recipe.learned_from)
        if seen.isdisjoint(each.identity for each in fold.measured):
            return previous
        fair = [each for each in fold.learned if each.identity in seen & self._samples.keys()]
        if not fair:
            return self.base
        recipe = previous.recipe
        return self._fitted(fair).with_recipe(shipped=recipe.shipped, whole=recipe.whole)

    def measured(self, *lineup: Sequence[SegmentationModel]) -> list[Measured]:
        """Measure models in one pass over the images.

        Args:
            lineup: Models of each row of figures: one for each fold, or a single one for all folds.
        """
        figures = [Measured(len(self._data.labels)) for _ in lineup]
        for fold, *models in zip(self.folds, *map(cycle, lineup), strict=False):
            contenders = [Contender.of(model, self._data) for model in models]
            held_out = sampling.choose(fold.measured, MOST_MEASURED)
            for view, _ in self.views(held_out, "measuring"):
                for measured, contender in zip(figures, contenders, strict=True):
                    measured.add(contender, view)
        return figures

    def _known_ious(self, shipped: Measured) -> dict[str, float]:
        """Return the shipped model's IoU by label that may be left to it.

        A model that reads text serves a project alone or not at all: its classes are the labels of
        the config that it is asked for, which a learned model does not know.
        """
        if isinstance(self.base, TextPromptedModel):
            return {}
        ious = dict(zip(self._data.labels, np.nan_to_num(shipped.ious), strict=True))
        return {label: float(ious[label]) for label in self._known}

    def judged(self, model: ProjectModel, old: Measured, new: Measured, images: int) -> Learned:
        """Compare a model that learned from ``images`` images with the previous one."""
        count = Counter(label for each in self._data.examples for label in each.labels)
        left = model.recipe.shipped if isinstance(model, LearnedModel) else {}
        figures = Figures(
            labels=tuple(
                LabelFigure(
                    label,
                    count[label],
                    _measured_iou(old.ious[number]),
                    _measured_iou(new.ious[number]),
                    "shipped" if label in left else "learned",
                )
                for number, label in enumerate(self._data.labels)
                if number > 0
            ),
            learned_from=images,
            held_out=new.images,
            cross_validated=len(self.folds) > 1,
        )
        verdict = gate.judge(figures)
        return Learned(model, verdict.promoted, verdict.reason, figures)


def _owners(data: LearningSet) -> tuple[int, ...]:
    """Return the label index of each class of the garment network; empty if it reaches no label."""
    found = owners(EMBEDDED_CLASSES, data)
    numbers = range(len(EMBEDDED_CLASSES))
    return tuple(data.labels.index(found[n]) if n in found else 0 for n in numbers) if found else ()


def _classes(model: SegmentationModel, data: LearningSet) -> dict[str, tuple[str, ...]]:
    """Return the names of a model's classes by the project's label that they match."""
    found: dict[str, tuple[str, ...]] = {}
    for number, label in matching(model, data).items():
        found[label] = (*found.get(label, ()), model.classes[number])
    return found


def _measured_iou(iou: float) -> float | None:
    return None if np.isnan(iou) else float(iou)
