"""The advice where a package of an extra is not installed."""

import re
import sys
import tomllib

import pytest

from ml_backend.errors import SettingsError
from ml_backend.extras import EXTRAS, exit_without_extra, explain_missing_extras, require_extra
from tests.support.repository import ROOT

FOR_DEVELOPERS = {"dev", "docs", "train"}


def packages_of_extras() -> dict[str, set[str]]:
    """Import names of the packages that each extra of pyproject.toml names itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        extra: {
            re.split(r"[\[><=]", requirement)[0].replace("-", "_")
            for requirement in requirements
            if not requirement.startswith("segstudio")
        }
        for extra, requirements in project["optional-dependencies"].items()
        if extra not in FOR_DEVELOPERS
    }


def test_the_advice_covers_every_package_of_the_extras_and_no_other() -> None:
    extras = packages_of_extras()
    assert set(EXTRAS) == set.union(*extras.values())
    assert all(package in extras[extra] for package, extra in EXTRAS.items())


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with (
        pytest.raises(SettingsError, match="needs the extra analysis") as raised,
        explain_missing_extras(),
    ):
        import matplotlib.figure  # noqa: F401
    assert raised.value.hint == "pip install 'segstudio[analysis]'"


def test_another_missing_package_is_no_extra_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError), explain_missing_extras():
        import httpx  # noqa: F401


def test_an_extra_is_required_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_extra("server")
    monkeypatch.setitem(sys.modules, "gunicorn", None)
    with pytest.raises(SettingsError, match="gunicorn is not installed"):
        require_extra("server")
    with pytest.raises(SystemExit, match="error: gunicorn is not installed"):
        exit_without_extra("server")
