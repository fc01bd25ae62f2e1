"""Memory of ``segstudio report`` for large projects."""

import tracemalloc

from ml_backend.labelstudio.annotations import AnnotationReader
from ml_backend.labelstudio.client import LabelStudio
from segstudio.export.manifest_join import Manifest
from segstudio.report.facts import FactsReader
from tests.support.drawn import CONFIG, choice
from tests.support.label_studio_server import TOKEN, LabelStudioServer, annotation, task


def test_a_hundred_thousand_tasks_take_no_more_memory_than_a_thousand(
    label_studio: LabelStudioServer,
) -> None:
    said = annotation(1, choice("Sentiment", "Positive"))
    peaks = []
    for count in (3000, 9000):
        project = label_studio.add(CONFIG, [task(f"{n}.jpg", said) for n in range(count)])
        with LabelStudio(label_studio.url, TOKEN) as client, Manifest(None) as rows:
            reader = AnnotationReader(client)
            facts = FactsReader(reader, [reader.project(project)], rows, 10, 1)
            tracemalloc.start()
            for _ in facts.survey():
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert facts.sample_size == 10
        assert facts.facts.projects[project].labeled == count
    assert peaks[1] < peaks[0] * 1.3, "two pages of 1000 tasks, and a number for each annotation"
