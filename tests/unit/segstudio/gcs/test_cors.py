from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import SettingsError
from segstudio.gcs.cors import label_studio_rule, origin, with_rule

Rules = Sequence[Mapping[str, Any]]

ORIGINS = st.lists(st.sampled_from(["*", "http://a", "https://b:8080"]), min_size=1, max_size=3)
RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "origin": ORIGINS,
            "method": st.lists(st.sampled_from(["GET", "PUT"])),
            "responseHeader": st.just(["Content-Type"]),
            "maxAgeSeconds": st.integers(0, 3600),
        },
    ),
    max_size=4,
)


def test_the_rule_is_the_one_of_label_studios_documentation() -> None:
    assert label_studio_rule(["http://localhost:8080"]) == {
        "origin": ["http://localhost:8080"],
        "method": ["GET"],
        "responseHeader": ["Content-Type", "Access-Control-Allow-Origin"],
        "maxAgeSeconds": 3600,
    }


@given(RULES, ORIGINS)
def test_setting_the_rule_twice_is_setting_it_once(rules: Rules, origins: list[str]) -> None:
    wanted = label_studio_rule(origins)
    once = with_rule(rules, wanted)
    assert wanted in once or any(set(rule["origin"]) == set(origins) for rule in once)
    assert with_rule(once, wanted) == once


@given(RULES, ORIGINS)
def test_rules_for_other_origins_stay(rules: Rules, origins: list[str]) -> None:
    def others(some: Rules) -> Rules:
        return [rule for rule in some if set(rule.get("origin", ())) != set(origins)]

    assert others(with_rule(rules, label_studio_rule(origins))) == others(rules)


@pytest.mark.parametrize(
    ("text", "sent_by_browsers"),
    [
        ("*", "*"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("https://Labels.Example.org", "https://labels.example.org"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(text: str, sent_by_browsers: str) -> None:
    assert origin(text) == sent_by_browsers


@pytest.mark.parametrize(
    "text", ["", "localhost:8080", "ftp://a", "http://a/projects", "http://u@a", "http://a?b", "//"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="origin"):
        origin(text)
