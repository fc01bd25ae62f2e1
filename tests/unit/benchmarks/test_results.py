"""The figures that ``make bench`` writes, and those of the documentation."""

from pathlib import Path

from benchmarks.measure import Figure, Spread
from benchmarks.results import Result, markdown, read_results, update_results, write_results

CLICK = Figure(
    name="warm click",
    unit="ms",
    ours=Spread(84.4, 64, 106),
    baseline="the model alone",
    other=Spread(76.7, 56.7, 90.3),
    ratio=Spread(1.15, 1.07, 1.19),
    goal="≤ +15 ms: +8.7",
    met=True,
)
ERRORS = Figure("errors", "", Spread(0, 0, 0), goal="none", met=False)


def result(part: str, figure: Figure, date: str = "2026-11-28") -> Result:
    return Result(part, figure, date, "a machine, 2 cores")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    results = [result("clicks", CLICK), result("soak", ERRORS)]
    write_results(tmp_path / "a.csv", results)
    assert read_results(tmp_path / "a.csv") == results


def test_a_run_of_some_parts_replaces_their_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_results(path, [result("clicks", CLICK, "2026-11-23"), result("soak", ERRORS)])
    cold = Figure("cold click", "ms", Spread(102, 79, 115))
    update_results(path, [result("clicks", cold)])
    assert read_results(path) == [result("soak", ERRORS), result("clicks", cold)]


def test_the_table_has_three_digits_and_quartiles_where_there_are_several() -> None:
    first, last = markdown([result("clicks", CLICK), result("soak", ERRORS)]).splitlines()[2:]
    assert first == (
        "| warm click | 84.4 (64 to 106) ms | the model alone | 76.7 (56.7 to 90.3) ms "
        "| 1.15 (1.07 to 1.19) | ≤ +15 ms: +8.7 | met |"
    )
    assert last == "| errors | 0 |  |  |  | none | not met |"
