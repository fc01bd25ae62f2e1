"""HTML parts of a page: text, tables and plots that need no script and print well."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #767676; padding-bottom: .3rem; }
.lead { font-size: 1.15rem; }
.note { color: #4d4d4d; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #d0d0d0;
  vertical-align: middle; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; max-width: 100%; height: auto; }
figure { margin: 1.5rem 0; break-inside: avoid; }
figcaption { margin-bottom: .4rem; }
.three { display: grid; grid-template-columns: repeat(3, 1fr); gap: .8rem; }
.three div { display: flex; flex-direction: column; }
.three img { width: 100%; border: 1px solid #767676; }
.key { display: inline-block; width: .9em; height: .9em; margin-right: .3em;
  border: 1px solid #4d4d4d; vertical-align: -.1em; }
@media print {
  body { margin: 0; max-width: none; font-size: 11pt; }
  h2, h3 { break-after: avoid; }
  table, figure, tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

COLORS = {
    "kept": "#009e73",
    "corrected": "#56b4e9",
    "relabelled": "#e69f00",
    "deleted": "#d55e00",
    "added": "#cc79a7",
}
"""Colors for all kinds of color vision: Okabe and Ito, Color Universal Design, 2008."""


@dataclass(frozen=True)
class Cell:
    """Cell of a table: text or a formatted number; ``markup``: the text is HTML."""

    text: str
    is_number: bool = False
    markup: bool = False


def number(value: float | None, digits: int = 0) -> Cell:
    """Return a cell with a number, or a dash for None."""
    return Cell("-" if value is None else f"{value:,.{digits}f}", is_number=True)


def percent(value: float | None) -> Cell:
    """Return a cell with a fraction as a percentage, or a dash for None."""
    return Cell("-" if value is None else f"{100 * value:.0f} %", is_number=True)


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table whose first column contains the row headers."""
    found = list(rows)
    numeric = [bool(found) and row_cell.is_number for row_cell in (found[0] if found else ())]
    kinds = [' class="number"' if each else "" for each in numeric] or [""] * len(columns)
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for name, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row, range(len(row))))}</tr>\n" for row in found)
    return (
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table>"
    )


def _cell(cell: Cell, position: int) -> str:
    text = cell.text if cell.markup else escape(cell.text)
    if position == 0:
        return f'<th scope="row">{text}</th>'
    return f'<td class="number">{text}</td>' if cell.is_number else f"<td>{text}</td>"


def stacked_bar(parts: Sequence[tuple[str, int]], description: str) -> str:
    """Return a bar whose parts are as long as their counts."""
    total, left, shapes = sum(count for _, count in parts), 0.0, []
    for name, count in parts:
        width = 600 * count / total if total else 0
        shapes.append(
            f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="28" fill="{COLORS[name]}"/>'
        )
        left += width
    return (
        f'<svg viewBox="0 0 600 28" width="600" role="img" aria-label="{escape(description)}">'
        f"{''.join(shapes)}</svg>"
    )


def key(name: str) -> Cell:
    """Return a cell with the color and name of a part of ``stacked_bar``."""
    return Cell(
        f'<span class="key" style="background:{COLORS[name]}"></span>{escape(name)}', markup=True
    )


def bar(value: float | None) -> Cell:
    """Return a cell with a fraction as a bar; the number is in another cell."""
    width = 0 if value is None else 120 * min(max(value, 0), 1)
    return Cell(
        '<svg viewBox="0 0 120 12" width="120" height="12" aria-hidden="true">'
        '<rect width="120" height="12" fill="#e6e6e6"/>'
        f'<rect width="{width:.1f}" height="12" fill="#0072b2"/></svg>',
        markup=True,
    )


def line_plot(points: Sequence[tuple[str, float]], description: str) -> str:
    """Return a line plot of values 0..1 with names below; more than fit are numbered."""
    step, top, height = 560 / max(len(points), 2), 10, 160
    spots = [
        (40 + step * (place + 0.5), top + height * (1 - value))
        for place, (_, value) in enumerate(points)
    ]
    grid = "".join(
        f'<line x1="40" x2="600" y1="{top + height * (1 - v):.0f}" '
        f'y2="{top + height * (1 - v):.0f}" stroke="#d0d0d0"/>'
        f'<text x="34" y="{top + height * (1 - v) + 4:.0f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#0072b2"/>'
        f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{value:.2f}</text>'
        f'<text x="{x:.1f}" y="195" text-anchor="middle">{place}</text>'
        for place, ((x, y), (_, value)) in enumerate(zip(spots, points, strict=True), 1)
    )
    return (
        f'<svg viewBox="0 0 610 205" width="610" role="img" aria-label="{escape(description)}" '
        f'font-size="12" font-family="system-ui, sans-serif">{grid}'
        f'<polyline points="{path}" fill="none" stroke="#0072b2" stroke-width="2"/>{marks}</svg>'
    )
