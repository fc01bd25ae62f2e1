"""The names of errors, which reach JSON answers, logs and metrics, and the tree that is drawn."""

import re
from collections.abc import Iterator

from ml_backend import errors
from ml_backend.errors import SegstudioError
from ml_backend.images.http import HttpStatusError
from ml_backend.labelstudio.region_pixels import RegionError
from segstudio.agreement.compare import AgreementError
from segstudio.data.naming import NamingError
from segstudio.data.tables import TableError
from segstudio.errors import PhotographsError, ProcessError
from segstudio.export.masks import PaletteError
from segstudio.gcs.objects import BucketError, PreconditionFailedError
from segstudio.labelstudio.compatibility import IncompatibleConfigError
from segstudio.labelstudio.ml_backends import BackendError

KINDS: dict[type[SegstudioError], str] = {
    errors.SegstudioError: "error",
    errors.SettingsError: "settings",
    errors.CredentialsError: "credentials",
    errors.ModelError: "model",
    errors.LabelStudioError: "label_studio",
    errors.RequestError: "request",
    errors.LabelConfigError: "label_config",
    errors.UnauthorizedError: "unauthorized",
    errors.BusyError: "busy",
    errors.TaskError: "task",
    errors.PromptError: "prompt",
    errors.DeadlineExceededError: "budget",
    errors.ImageError: "image",
    errors.ImageReferenceError: "image_reference",
    errors.ImageRefusedError: "image_refused",
    errors.ImageFetchError: "image_fetch",
    errors.ImageDecodeError: "image_decode",
    HttpStatusError: "image_fetch",
    AgreementError: "agreement",
    BackendError: "backend",
    BucketError: "bucket",
    IncompatibleConfigError: "label_config",
    NamingError: "naming",
    PaletteError: "palette",
    PhotographsError: "photographs",
    PreconditionFailedError: "changed",
    ProcessError: "start",
    RegionError: "region",
    TableError: "table",
}


def test_each_kind_is_what_programs_know_it_by() -> None:
    assert {error: error.kind for error in KINDS} == KINDS


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = re.findall(r"^ {4}([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    assert [(len(prefix) // 4, name) for prefix, name in drawn] == list(_tree(SegstudioError, 0))


def _tree(error: type[SegstudioError], depth: int) -> Iterator[tuple[int, str]]:
    yield depth, error.__name__
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child, depth + 1)
