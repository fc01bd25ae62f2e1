"""Report page: one file without scripts, with text, tables and plots."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from segstudio.report.facts import Facts, Suggestions, rates
from segstudio.report.html import (
    STYLE,
    Cell,
    bar,
    key,
    line_plot,
    number,
    paragraph,
    percent,
    stacked_bar,
    table,
)
from segstudio.report.suggestions import FATES, KEPT
from segstudio.report.thumbnails import Thumbnails
from segstudio.report.times import FEWEST, TimeSaved, median, time_saved


def render(facts: Facts, thumbnails: Sequence[Thumbnails], made_at: str) -> str:
    """Return the page.

    Args:
        facts: Facts to report.
        thumbnails: Pictures of the images that annotators changed most.
        made_at: Time of creation, as shown to the reader.
    """
    titles = ", ".join(progress.project.title for progress in facts.projects.values())
    parts = [
        f"<h1>Labeling report: {escape(titles)}</h1>",
        paragraph(f"Made by segstudio on {made_at}.", "note"),
        *_progress(facts),
        *_pace(facts),
        *_worth(facts),
        *_saved(facts),
        *_changed(thumbnails),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Labeling report: {escape(titles)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main></body></html>\n"
    )


def _progress(facts: Facts) -> Iterator[str]:
    projects = list(facts.projects.values())
    tasks = sum(each.project.counts.tasks for each in projects)
    labeled = sum(each.labeled for each in projects)
    share = f" ({100 * labeled / tasks:.0f} %)" if tasks else ""
    yield "<h2>Progress</h2>"
    yield paragraph(f"{labeled:,} of {tasks:,} tasks{share} are labeled.", "lead")
    yield table(
        "Projects",
        ("project", "tasks", "labeled", "", "skipped", "without suggestions", "annotations"),
        (
            (
                Cell(f"{each.project.title} ({each.project.id})"),
                number(each.project.counts.tasks),
                percent(_share(each.labeled, each.project.counts.tasks)),
                bar(_share(each.labeled, each.project.counts.tasks)),
                number(each.skipped),
                number(each.control),
                number(each.project.counts.annotations),
            )
            for each in projects
        ),
    )


def _pace(facts: Facts) -> Iterator[str]:
    yield "<h2>Pace</h2>"
    pace = rates(facts.labelers)
    yield table(
        "Annotators",
        (
            "annotator",
            "images",
            "images an hour",
            "seconds an image",
            "seconds a region",
            "skipped",
        ),
        (
            (
                Cell(name),
                number(len(labeler.seconds)),
                number(pace[name][0], 1),
                number(median(labeler.seconds), 1),
                number(pace[name][1], 1),
                number(labeler.skipped),
            )
            for name, labeler in sorted(facts.labelers.items())
        ),
    )
    yield table(
        "Labels",
        ("label", "regions in the sample", "seconds a region"),
        (
            (
                Cell(label),
                number(count),
                number(facts.label_seconds[label] / count, 1),
            )
            for label, count in sorted(facts.label_regions.items())
        ),
    )
    yield paragraph(
        "An hour is one of labeling, as Label Studio's lead time counts it. Seconds an image is "
        "the median, which a long break does not change. The seconds of an image are shared "
        "equally among its regions.",
        "note",
    )


def _worth(facts: Facts) -> Iterator[str]:
    yield "<h2>What the suggestions were worth</h2>"
    total = facts.total
    if not total.suggested:
        yield paragraph("No annotation in the sample began with a suggested region.")
        return
    kept = _share(total.fates["kept"], total.suggested) or 0
    yield paragraph(
        f"Of {total.suggested:,} suggested regions on {facts.sampled:,} images, "
        f"{100 * kept:.0f} % were kept as they were.",
        "lead",
    )
    parts = [(fate, total.fates[fate]) for fate in FATES]
    words = ", ".join(f"{count} {fate}" for fate, count in parts)
    yield f"<figure><figcaption>All regions: {escape(words)}.</figcaption>"
    yield stacked_bar(parts, words) + "</figure>"
    yield table(
        "What became of the regions",
        ("", "regions", "of those suggested"),
        (
            (
                key(fate),
                number(count),
                percent(None if fate == "added" else _share(count, total.suggested)),
            )
            for fate, count in parts
        ),
    )
    yield paragraph(
        f"Kept: the same label and an IoU of {KEPT} or more. Corrected: the same label, another "
        "outline. Added: submitted regions that nothing was suggested for.",
        "note",
    )
    yield _fates("By label", "label", sorted(facts.labels.items()))
    yield _fates("By model version", "model version", facts.versions.items(), numbered=True)
    points = [(name, s.mean_iou) for name, s in facts.versions.items()]
    known = [(name, iou) for name, iou in points if iou is not None]
    if len(known) > 1:
        words = ", ".join(f"{name}: {iou:.2f}" for name, iou in known)
        caption = "IoU of suggestion and submission, from the first model version to the last."
        yield f"<figure><figcaption>{caption}</figcaption>{line_plot(known, words)}</figure>"


def _fates(
    caption: str, column: str, rows: Iterable[tuple[str, Suggestions]], numbered: bool = False
) -> str:
    return table(
        caption,
        (column, "IoU", "", "suggested", "kept", "corrected", "relabelled", "deleted", "added"),
        (
            (
                Cell(f"{place}. {name}" if numbered else name),
                number(each.mean_iou, 2),
                bar(each.mean_iou),
                number(each.suggested),
                *(percent(_share(each.fates[fate], each.suggested)) for fate in FATES[:-1]),
                number(each.fates["added"]),
            )
            for place, (name, each) in enumerate(rows, 1)
        ),
    )


def _saved(facts: Facts) -> Iterator[str]:
    yield "<h2>Time saved</h2>"
    if not any(progress.control for progress in facts.projects.values()):
        yield paragraph(
            "Not measured: no project has tasks without suggestions. Projects that are made with "
            "segstudio project create --control 10% leave a tenth of their tasks without."
        )
        return
    saved = time_saved(facts.suggested, facts.control)
    if saved is None:
        yield paragraph(
            f"Not enough data: {len(facts.control)} images without suggestions and "
            f"{len(facts.suggested)} with are labeled, and {FEWEST} of each are needed."
        )
        return
    yield paragraph(describe_saved(saved), "lead")
    yield paragraph(
        f"Median of {len(facts.control):,} images without suggestions: {saved.without:.1f} s; of "
        f"{len(facts.suggested):,} with: {saved.without - saved.seconds:.1f} s. The interval comes "
        "from a bootstrap.",
        "note",
    )


def describe_saved(saved: TimeSaved) -> str:
    """Return a sentence on the time that suggestions save."""
    interval = f"95 % confidence interval: {saved.low:.1f} to {saved.high:.1f} s"
    if not saved.is_certain:
        return f"Whether suggestions save time cannot be determined yet ({interval} an image)."
    if saved.seconds < 0:
        return f"Suggestions cost {-saved.seconds:.1f} s an image ({interval} saved)."
    share = f", {100 * saved.seconds / saved.without:.0f} % of its time" if saved.without else ""
    return f"Suggestions save {saved.seconds:.1f} s an image{share} ({interval})."


def _changed(thumbnails: Sequence[Thumbnails]) -> Iterator[str]:
    if not thumbnails:
        return
    yield "<h2>Images that people changed most</h2>"
    yield paragraph("In the difference, blue pixels were added and orange ones removed.", "note")
    for each in thumbnails:
        changed = each.changed
        yield (
            f"<figure><figcaption>{escape(changed.identifier)}, by {escape(changed.annotator)}: "
            f'IoU {1 - changed.change:.2f}</figcaption><div class="three">'
        )
        for name, picture, drawing in (
            ("suggestion", each.suggestion, changed.before),
            ("submission", each.submission, changed.after),
            ("difference", each.difference, None),
        ):
            labels = ", ".join(m.region.names[0] for m in drawing.masks) if drawing else ""
            alternative = f"{name}: {labels or 'no regions'}" if drawing else name
            yield (
                f'<div><img src="{picture}" alt="{escape(alternative)}"><span>{name}</span></div>'
            )
        yield "</div></figure>"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
