"""The list of classes, which imports no torch, is that of the shipped network."""

from segmentation_backend.classes import EMBEDDED_CLASSES
from segmentation_backend.models.embedded import EmbeddedGarmentModel


def test_the_classes_are_those_of_the_shipped_network() -> None:
    assert EmbeddedGarmentModel.load().classes == EMBEDDED_CLASSES
