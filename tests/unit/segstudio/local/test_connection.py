"""Which Label Studio and backends the commands take, and what a project is called."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from ml_backend.errors import SettingsError
from segstudio.local.connection import backend_pair, resolve_connection
from segstudio.local.state import State, write_state
from segstudio.projects.create import ProjectSpec
from segstudio.projects.sampling import SampleSize
from segstudio.projects.tasks import TableSummary, TaskField, TaskMapping
from segstudio.settings import ProjectSettings

RULE = TaskMapping("ID", "Image", (TaskField("image"),), ())
FOUND = TableSummary(10, "digest", ())


def settings(folder: Path, **values: object) -> ProjectSettings:
    return ProjectSettings.model_validate({"state_dir": folder, "label_studio_port": 81, **values})


def order(title: str = "Looks", share: str = "100%", **changes: object) -> ProjectSpec:
    values = {"label_config": "<View/>", "rule": RULE, "seed": 1, "copies": 1, **changes}
    return ProjectSpec(title=title, share=SampleSize.parse(share), **values)  # type: ignore[arg-type]


def test_a_label_studio_that_is_named_is_taken(tmp_path: Path) -> None:
    named = {"label_studio_url": "http://ls", "label_studio_api_key": SecretStr("abc")}
    access = resolve_connection(settings(tmp_path, **named))
    assert (access.url, access.token, access.project) == ("http://ls", "abc", None)
    assert "abc" not in repr(access)


def test_else_it_is_that_of_make_up(tmp_path: Path) -> None:
    write_state(tmp_path, State(token="0" * 40, project=3))
    access = resolve_connection(settings(tmp_path))
    assert (access.url, access.token, access.project) == ("http://127.0.0.1:81", "0" * 40, 3)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "no Label Studio is known"),
        ({"label_studio_url": "http://ls"}, "LABEL_STUDIO_API_KEY is not set"),
        ({"label_studio_api_key": SecretStr("abc")}, "LABEL_STUDIO_URL is not set"),
    ],
)
def test_what_is_missing_is_told(values: dict[str, object], problem: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        resolve_connection(settings(tmp_path, **values))
    assert "make up" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_backends_are_where_they_are_said_to_be_else_where_make_up_starts_them(
    tmp_path: Path,
) -> None:
    login = {"basic_auth_user": "anna", "basic_auth_pass": SecretStr("secret")}
    pair = backend_pair(settings(tmp_path, sam_port=82, **login), "http://seg:7070/", "")
    assert [each.url for each in pair.connections] == ["http://seg:7070", "http://127.0.0.1:82"]
    assert [each.interactive for each in pair.connections] == [False, True]
    assert {(each.user, each.password) for each in pair.connections} == {("anna", "secret")}
    assert "secret" not in repr(pair)


def test_copies_are_numbered_and_one_alone_is_not() -> None:
    assert order().titles == ["Looks"]
    assert order(copies=2).titles == ["Looks #1", "Looks #2"]


@pytest.mark.parametrize(("title", "copies"), [("ab", 1), ("x" * 51, 1), ("x" * 48, 2)])
def test_titles_that_label_studio_would_refuse_are_refused_before(title: str, copies: int) -> None:
    with pytest.raises(SettingsError, match="characters"):
        order(title, copies=copies).titles  # noqa: B018


def test_the_mark_tells_projects_of_other_options_apart() -> None:
    wanted = [
        order(share="50%"),
        order(share="50%", seed=2),
        order(share="5"),
        order(label_config="<View></View>"),
        order(rule=replace(RULE, meta=("Name",))),
        order(rule=replace(RULE, fields=(*RULE.fields, TaskField("back")))),
        order(),
    ]
    assert len({each.mark(FOUND) for each in wanted}) == len(wanted)


def test_projects_of_earlier_releases_are_found_by_their_mark() -> None:
    assert order().mark(FOUND) == "[segstudio:7068fe80ffcf49ab]"


def test_rows_that_are_added_later_belong_to_a_project_of_all_rows_alone() -> None:
    grown = TableSummary(11, "other", ())
    assert order().mark(FOUND) == order(seed=2).mark(grown)
    assert order(share="50%").mark(FOUND) != order(share="50%").mark(grown)
