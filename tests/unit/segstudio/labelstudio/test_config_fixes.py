"""What ``segstudio lint --fix`` writes."""

from pathlib import Path

import pytest

from ml_backend.labelstudio.label_config import parse_label_config
from segstudio.labelstudio.config_fixes import fix
from segstudio.labelstudio.lint import lint
from segstudio.labelstudio.ml_backends import SHIPPED
from segstudio.projects.templates import read_template
from tests.support.command_line import Run, records

LABELS = '<Label value="Dress" hotkey="q"/>'
MASK = f'<BrushLabels name="mask" toName="image" smart="false">{LABELS}</BrushLabels>'
DRESS = '<Label value="Dress"/>'
BOX = f'<RectangleLabels name="box" toName="image" smart="true">{DRESS}</RectangleLabels>'
POINT = BOX.replace("Rectangle", "KeyPoint").replace("box", "mask")
IMAGE = '<Image name="image" value="$image"/>'


def config(*tags: str) -> str:
    inner = "\n".join(f"  {tag}" for tag in tags)
    return f"<View>\n  <!-- kept: ü > -->\n{inner}\n</View>\n"


BROKEN = {
    "a dead smart brush": config(IMAGE, MASK.replace(' smart="false"', ""), BOX),
    "a dead smart brush alone": config(
        IMAGE, MASK.replace('smart="false"', 'smartOnly="true"'), BOX
    ),
    "no smart tool": config(IMAGE, MASK),
    "no masks": config(IMAGE, POINT),
    "an address before the variable": config(
        IMAGE.replace("$image", "https://h/$image"), MASK, BOX
    ),
    "a target that is not there": config(IMAGE, MASK.replace('"image"', '"photo"'), BOX),
    "one key for two": config(
        IMAGE, MASK.replace(LABELS, f'{LABELS}<Label value="Hat" hotkey="Q"/>'), BOX
    ),
    "smart on a polygon": config(
        IMAGE, MASK, BOX, BOX.replace("Rectangle", "Polygon").replace("box", "outline")
    ),
    "a label that asks": config(
        IMAGE, MASK, BOX.replace('smart="true"><Label', 'smart="false"><Label smart="true"')
    ),
    "a status that is sent": config(IMAGE, MASK, BOX, '<TextArea name="status" toName="image"/>'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_has_one_right_answer_is_fixed_and_the_text_stays(name: str) -> None:
    before = lint(BROKEN[name], SHIPPED)
    fixed, done = fix(BROKEN[name])
    after = [each for each in lint(fixed, SHIPPED) if "Hat" not in each.detail]
    assert done
    assert len(after) < len(before)
    assert not [each for each in after if each.status == "error"]
    assert "<!-- kept: ü > -->" in fixed
    assert fix(fixed) == (fixed, [])


@pytest.mark.parametrize("name", ["runway_fashion", "runway_fashion_classic", "polygons"])
def test_what_is_fine_stays_as_it_is(name: str) -> None:
    assert fix(read_template(name)) == (read_template(name), [])


def test_two_fixes_of_one_tag_are_both_made() -> None:
    broken = config(IMAGE, MASK.replace('"image" smart="false"', '"photo"'), BOX)
    fixed, done = fix(broken)
    assert len(done) == 2
    assert parse_label_config(fixed).problems_for_prompts(reads_text=False) == []


def test_the_command_writes_the_fixed_config_beside_and_tells_the_lines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.xml").write_text(BROKEN["a dead smart brush"])
    (outcome,) = records(run("lint", "own.xml", "--fix", "--json"))
    assert outcome["fixed"] == ['line 4: BrushLabels smart="false"']
    assert run("lint", "own.fixed.xml").exit_code == 0
    assert Path("own.xml").read_text() == BROKEN["a dead smart brush"]
    shown = run("lint", "own.fixed.xml").stdout
    assert "Dress" in shown
    assert "jumpsuit" in shown
