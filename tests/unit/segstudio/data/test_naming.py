import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudio.data.naming import NamingError, NamingRule

COLUMNS = ("Username", "ID", "Time of Posting", "a.b[0]!r:>9")


def test_columns_in_braces_become_values() -> None:
    rule = NamingRule.parse("posts/{Username}/{ID}.jpg", COLUMNS)
    assert rule.name({"Username": "afd.bund", "ID": "21_14"}) == "posts/afd.bund/21_14.jpg"
    assert rule.prefix == "posts/"


def test_a_column_is_taken_by_its_whole_name() -> None:
    values = dict.fromkeys(COLUMNS, "x") | {"a.b[0]!r:>9": "odd", "Time of Posting": "noon"}
    assert NamingRule.parse("{Time of Posting}-{a.b[0]!r:>9}", COLUMNS).name(values) == "noon-odd"


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{Usrname}.jpg", "'Usrname'"),
        ("{}.jpg", "''"),
        ("{ID.__class__}", "'ID.__class__'"),
        ("image.jpg", "same name"),
        ("{ID}}.jpg", "brace"),
        ("{ID", "brace"),
        ("", "same name"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(rule: str, problem: str) -> None:
    with pytest.raises(NamingError, match=problem):
        NamingRule.parse(rule, COLUMNS)


def test_an_unknown_column_comes_with_those_there_are() -> None:
    with pytest.raises(NamingError) as caught:
        NamingRule.parse("{Usrname}.jpg", ("Username", "ID"))
    assert caught.value.hint == "the columns are: Username, ID"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "ID is empty"),
        (" ", "ID is empty"),
        ("../../etc/x", "not a path inside"),
        ("/etc/x", "not a path inside"),
        ("a//b", "not a path inside"),
        ("./a", "not a path inside"),
        ("a\nb", "character"),
        ("a?b", "character"),
        ("a#b", "character"),
        ("a\udcffb", "character"),
        ("a\\..\\b", "character"),
        ("ü" * 513, "longer than 1024"),
    ],
)
def test_values_that_make_no_safe_name_are_refused(value: str, problem: str) -> None:
    with pytest.raises(NamingError, match=problem):
        NamingRule.parse("{ID}", ("ID",)).name({"ID": value})


@given(st.text(), st.text())
def test_every_name_survives_in_a_path_and_in_an_address(user: str, identifier: str) -> None:
    try:
        name = NamingRule.parse("{u}/{i}.jpg", ("u", "i")).name({"u": user, "i": identifier})
    except NamingError:
        return
    assert name == f"{user}/{identifier}.jpg"
    assert not {"", ".", ".."} & set(name.split("/"))
    assert not set("?#\\\r\n\0") & set(name)
    assert 1 <= len(name.encode()) <= 1024
