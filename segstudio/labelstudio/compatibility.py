"""Check that both backends can serve a label config, before anything is created or connected."""

from collections.abc import Sequence
from dataclasses import replace

from ml_backend.errors import SegstudioError
from segstudio.checks import CheckResult
from segstudio.labelstudio.lint import lint
from segstudio.labelstudio.ml_backends import BackendError, BackendPair, Classes, ask_classes


class IncompatibleConfigError(SegstudioError, kind="label_config"):
    """A backend cannot serve the label config."""


def known_classes(pair: BackendPair) -> Classes:
    """Return what both models find; a backend that cannot be reached from here refuses nothing."""
    try:
        classes = ask_classes(pair.segmentation, pair.login)
    except BackendError as error:
        classes = Classes((), str(error))
    try:
        reads_text = ask_classes(pair.sam, pair.login).text_prompts
    except BackendError:
        reads_text = True
    return replace(classes, typed_prompts=reads_text)


def check_served(label_config: str, classes: Classes) -> Sequence[CheckResult]:
    """Refuse a label config that a backend would refuse.

    Returns:
        Findings that are not errors.

    Raises:
        IncompatibleConfigError: A backend cannot serve it; shows the labels of both sides.
    """
    findings = lint(label_config, classes)
    errors = [finding for finding in findings if finding.status == "error"]
    if errors:
        raise IncompatibleConfigError(
            "the backends cannot serve this label config: "
            + "; ".join(f"{each.subject}: {each.detail}" for each in errors),
            "; ".join(each.fix for each in errors),
        )
    return findings
