"""Prompts with every number and type that JSON has."""

import json
import math
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import PromptError
from ml_backend.labelstudio.prompts import MOST_REGIONS, parse_context
from tests.integration.hostile.conftest import Scene
from tests.support.asking import Json, ask, box, click, data_uri, jpeg

GOOD = data_uri(jpeg())
HUGE = [0, -1, 1e-320, 1e300, -1e300, 2**63, 10**30, 99.999999, 100, 101]


def point(x: object, y: object, **more: object) -> Json:
    value = {"x": x, "y": y, "width": 1, "keypointlabels": ["dress"]}
    live = {"is_positive": True}
    return {"type": "keypointlabels", "to_name": "image", "value": value, **live, **more}


CONTEXTS: dict[str, list[Any]] = {
    **{f"box at {n}": [box(n, n, n, n)] for n in HUGE},
    **{f"click at {n}": [point(n, n)] for n in HUGE},
    **{f"turned by {n}": [box() | {"value": box()["value"] | {"rotation": n}}] for n in HUGE},
    **{f"{n} pixels": [box() | {"original_width": n, "original_height": 1}] for n in HUGE},
    "flat": [box() | {"original_width": 1e300, "original_height": 1e-300}],
    "text for numbers": [point("a", "b")],
    "lists for numbers": [point([], {})],
    "null": [None],
    "numbers": [1, 2, 3],
    "nested": [[[box()]]],
    "no value": [{"type": "rectanglelabels"}],
    "labels of other types": [point(1, 1) | {"value": {"x": 1, "y": 1, "keypointlabels": [1]}}],
    "negative only": [point(50, 50, is_positive=False)],
    "an endless label": [
        point(1, 1) | {"value": {"x": 1, "y": 1, "keypointlabels": ["d" * 10**6]}}
    ],
    "an endless type": [box() | {"type": "r" * 10**6}],
    "one place a thousand times": [point(50, 50)] * 1000,
    "a thousand boxes": [box(n % 40, n // 40, 3, 3) for n in range(1000)],
    "positive and negative in one place": [point(50, 50), point(50, 50, is_positive=False)] * 20,
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_any_prompt_is_answered(scene: Scene, name: str) -> None:
    for backend in scene.backends:
        (entry,) = ask(backend, click(GOOD) | {"params": {"context": {"result": CONTEXTS[name]}}})
        assert entry == [] or {"result", "score", "model_version"} == set(entry)


def test_half_a_million_prompts_are_no_more_work_than_a_hundred(scene: Scene) -> None:
    body = json.dumps(click(GOOD, *[point(n % 100, 50) for n in range(MOST_REGIONS)])).encode()
    regions = json.dumps(point(50, 50)).encode()
    long = body.replace(b'"result": [', b'"result": [' + (regions + b",") * 400_000, 1)
    assert len(long) > 40_000_000
    answers = [
        httpx.post(f"{scene.sam.url}/predict", content=each, timeout=120).json()["results"][0]
        for each in (body, long)
    ]
    masks = [[region["value"] for region in answer["result"]] for answer in answers]
    assert masks[0] == masks[1] != []


numbers = st.floats() | st.integers() | st.sampled_from([math.inf, math.nan, 1e308, 5e-324])
values = st.fixed_dictionaries(
    {"x": numbers, "y": numbers},
    optional={"width": numbers, "height": numbers, "rotation": numbers},
)
regions = st.fixed_dictionaries(
    {"type": st.sampled_from(["rectanglelabels", "keypointlabels"]), "value": values},
    optional={
        "original_width": numbers,
        "original_height": numbers,
        "is_positive": st.booleans() | st.none() | numbers,
    },
)


@given(st.lists(regions, max_size=5))
def test_whatever_the_numbers_prompts_lie_in_the_image_or_are_refused(result: list[Any]) -> None:
    try:
        context = parse_context({"result": result})
    except PromptError:
        return
    for box_prompt in context.boxes:
        assert 0 <= box_prompt.left < box_prompt.right <= 1
        assert 0 <= box_prompt.top < box_prompt.bottom <= 1
    for point_prompt in context.points:
        assert 0 <= point_prompt.x <= 1
        assert 0 <= point_prompt.y <= 1
