"""Label configs that would make an XML parser fetch, grow, or run without end."""

from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import LONGEST, parse_label_config
from tests.integration.hostile.conftest import Scene
from tests.support.asking import CONFIG

IMAGE = '<Image name="image" value="$image"/>'
BRUSH = '<BrushLabels name="brush" toName="image"><Label value="dress"/>{}</BrushLabels>'
PLAIN = f"<View>{IMAGE}{BRUSH}{{}}</View>"

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))

BOMBS = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>' + PLAIN.format("&l11;", ""),
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]>' + PLAIN.format("&a;" * 9999, ""),
    "too deep": PLAIN.format("", "<View>" * 30_000 + "</View>" * 30_000),
    "deep": PLAIN.format("", "<View>" * 800 + "</View>" * 800),
    "too long": PLAIN.format("", " " * LONGEST),
    "many attributes": PLAIN.format(
        "<Label " + " ".join(f'a{n}="1"' for n in range(40_000)) + "/>", ""
    ),
    "not closed": PLAIN.format("", "<View>"),
    "no XML": "\x00",
    "an encoding that lies": '<?xml version="1.0" encoding="utf-16"?>\ufeff<',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_its_reason(scene: Scene, name: str) -> None:
    for backend in scene.backends:
        answer = httpx.post(f"{backend.url}/setup", json={"schema": BOMBS[name]}, timeout=60)
        assert answer.status_code == 422
        assert answer.json()["error"]["type"] == "label_config"


EXTERNAL = [
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:{port}/x.dtd">{config}',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:{port}/x">]>{entity}',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{entity}',
    '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:{port}/x"> %p;]>{config}',
    '<!DOCTYPE x PUBLIC "-//W3C//DTD" "ftp://127.0.0.1:{port}/x">{config}',
]

HARMLESS = [
    '<?xml-stylesheet href="http://127.0.0.1:{port}/x.xsl"?>{config}',
    '<View xmlns:xi="http://www.w3.org/2001/XInclude">'
    '<xi:include href="http://127.0.0.1:{port}/x"/>{config}</View>',
    '<View xmlns:x="http://www.w3.org/2001/XMLSchema-instance" '
    'x:schemaLocation="a http://127.0.0.1:{port}/x">{config}</View>',
]


@pytest.mark.parametrize("text", EXTERNAL + HARMLESS)
def test_nothing_outside_is_fetched(scene: Scene, text: str) -> None:
    config, entity = PLAIN.format("", ""), PLAIN.format('<Label value="&e;"/>', "&e;")
    values = {"{port}": str(scene.forbidden.port), "{config}": config, "{entity}": entity}
    for name, value in values.items():
        text = text.replace(name, value)
    answer = httpx.post(f"{scene.segmentation.url}/setup", json={"schema": text}, timeout=60)
    assert answer.status_code in (200, 422)
    if "DOCTYPE" in text:
        assert "DTDForbidden" in answer.json()["error"]["message"]
    assert "root:" not in answer.text
    assert not scene.forbidden.was_reached()


tags = st.sampled_from(["View", "Image", "Label", "BrushLabels", "Choices", "Text", "Repeater"])
attributes = st.dictionaries(
    st.sampled_from(["name", "toName", "value", "smart", "alias", "predicted_values", "on"]),
    st.sampled_from(["image", "$image", "brush", "", "$", "a,b", "false", "$x[{{idx}}].y"]),
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    tag = draw(tags)
    given = "".join(f' {name}="{value}"' for name, value in draw(attributes).items())
    inner = draw(st.lists(elements(depth - 1), max_size=3)) if depth else []
    return f"<{tag}{given}>{''.join(inner)}</{tag}>"


@given(st.one_of(elements(), st.text(), st.binary().map(lambda b: b.decode("latin-1"))))
def test_any_text_is_a_label_config_or_the_promised_error(text: str) -> None:
    try:
        config = parse_label_config(text)
    except LabelConfigError:
        return
    assert config.images


@settings(max_examples=200)
@given(st.data())
def test_a_config_with_any_part_changed_is_one_or_the_promised_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(CONFIG)))
    end = data.draw(st.integers(start, min(start + 40, len(CONFIG))))
    changed = CONFIG[:start] + data.draw(st.text(max_size=10)) + CONFIG[end:]
    with suppress(LabelConfigError):
        assert parse_label_config(changed).images
