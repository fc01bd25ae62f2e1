"""Any label config that Label Studio accepts is refused with a reason, or served."""

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface.interface import LabelInterface

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.predictor import Predictor
from tests.support.any_config import (
    Backends,
    DiscConcepts,
    DiscReader,
    all_prompts,
    fitting_data,
    prompts_of,
    typed_on,
)
from tests.support.drawable import assert_drawable
from tests.support.label_configs import LABELED_CONTROLS, fitting_configs, label_configs


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


any_configs = st.one_of(label_configs(LABELED_CONTROLS), fitting_configs())

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(fitting_configs())
def test_a_mask_control_and_a_smart_tool_that_share_a_label_are_served_on_every_image(
    backends: Backends, xml: str
) -> None:
    config, prompted = served(backends.segmentation, xml), served(backends.sam, xml)
    assert config
    assert prompted
    data = fitting_data(config)
    assert {each["to_name"] for each in backends.predict(config, data)} == {*config.images}
    assert {*config.prompted_images()} == {*config.images}


@many
@given(any_configs)
def test_a_batch_gives_regions_that_label_studio_draws_or_setup_refuses(
    backends: Backends, xml: str
) -> None:
    if config := served(backends.segmentation, xml):
        results = backends.predict(config, fitting_data(config))
        assert results
        assert_drawable(results, xml)
        assert {each["to_name"] for each in results} <= set(config.mask_images())


@many
@given(any_configs)
def test_a_click_gives_regions_that_label_studio_draws_or_setup_refuses(
    backends: Backends, xml: str
) -> None:
    if config := served(backends.sam, xml):
        data = fitting_data(config)
        for image in config.prompted_images():
            for prompts in all_prompts(config.for_task(data), image):
                event(f"{prompts[0]['type']} with {len(prompts)} results")
                results = backends.click(config, data, *prompts)
                assert_drawable(results, xml)
                assert {each["to_name"] for each in results} == {image}


@settings(many, max_examples=30)
@given(any_configs)
def test_models_that_read_text_give_what_label_studio_draws_or_setup_refuses(
    readers: Backends, xml: str
) -> None:
    if config := served(readers.segmentation, xml):
        results = readers.predict(config, fitting_data(config))
        assert results
        assert_drawable(results, xml)
    if config := served(readers.sam, xml):
        data = fitting_data(config)
        for image in config.prompted_images():
            clicked = readers.click(config, data, *prompts_of(config.for_task(data), image))
            typed = readers.click(config, data, typed_on(image, "a dress; cars"))
            assert_drawable([*clicked, *typed], xml)
            assert {each["to_name"] for each in [*clicked, *typed]} == {image}
