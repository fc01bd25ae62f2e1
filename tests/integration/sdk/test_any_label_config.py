"""Any label config that Label Studio accepts is refused with a reason, or served."""

import pytest
from hypothesis import HealthCheck, event, given, settings
from label_studio_sdk.label_interface.interface import LabelInterface

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.predictor import Predictor
from tests.support.any_config import (
    Backends,
    DiscConcepts,
    DiscReader,
    fitting_data,
    prompts_of,
    typed_on,
)
from tests.support.drawable import assert_drawable
from tests.support.label_configs import LABELED_CONTROLS, label_configs


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Backends:
    return Backends(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Backends:
    """Backends with models that read text."""
    return Backends(tmp_path_factory.mktemp("readers"), DiscReader(), DiscConcepts())


def served(backend: Predictor, xml: str) -> LabelConfig | None:
    """Ask a backend as ``/setup`` does; None where the label config is refused, with a reason."""
    if not LabelInterface(xml).is_valid:
        return None
    try:
        config = parse_label_config(xml)
        backend.check(config)
    except LabelConfigError as error:
        refusal = error
    else:
        event("served")
        return config
    event("refused")
    assert refusal.message
    assert refusal.hint
    return None


many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(label_configs(LABELED_CONTROLS))
def test_a_batch_gives_regions_that_label_studio_draws_or_setup_refuses(
    backends: Backends, xml: str
) -> None:
    if config := served(backends.segmentation, xml):
        results = backends.predict(config, fitting_data(config))
        assert results
        assert_drawable(results, xml)
        assert {each["to_name"] for each in results} <= set(config.mask_images())


@many
@given(label_configs(LABELED_CONTROLS))
def test_a_click_gives_regions_that_label_studio_draws_or_setup_refuses(
    backends: Backends, xml: str
) -> None:
    if config := served(backends.sam, xml):
        for image in config.prompted_images():
            results = backends.click(config, fitting_data(config), *prompts_of(config, image))
            assert_drawable(results, xml)
            assert {each["to_name"] for each in results} == {image}


@settings(many, max_examples=30)
@given(label_configs(LABELED_CONTROLS))
def test_models_that_read_text_give_what_label_studio_draws_or_setup_refuses(
    readers: Backends, xml: str
) -> None:
    if config := served(readers.segmentation, xml):
        results = readers.predict(config, fitting_data(config))
        assert results
        assert_drawable(results, xml)
    if config := served(readers.sam, xml):
        for image in config.prompted_images():
            clicked = readers.click(config, fitting_data(config), *prompts_of(config, image))
            typed = readers.click(config, fitting_data(config), typed_on(image, "a dress; cars"))
            assert_drawable([*clicked, *typed], xml)
            assert {each["to_name"] for each in [*clicked, *typed]} == {image}
