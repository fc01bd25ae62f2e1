"""The figures of the documentation can be drawn."""

from pathlib import Path

from benchmarks.plots import draw
from benchmarks.results import read_results
from tests.support.repository import ROOT

DOCUMENTED = ROOT / "docs" / "benchmarks" / "results.csv"


def test_the_documented_figures_can_be_shown(tmp_path: Path) -> None:
    results = read_results(DOCUMENTED)
    assert all(each.part and each.date and each.machine for each in results)
    assert len({each.figure.name for each in results}) == len(results)
    draw(tmp_path / "ratios.svg", [each.figure for each in results])
    assert "warm click" in (tmp_path / "ratios.svg").read_text()
