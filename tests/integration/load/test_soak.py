"""Nine labelers at once on both backends, without pauses; ``make bench`` has them for longer."""

from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.labelers import Labelers, make_pictures
from tests.support.asking import total
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(600)

PICTURES = 16
CACHE_MB = 1
"""For embeddings: a third of them, so that they come and go."""

SECONDS = 30
GROWTH_MB = 150
"""That is, caches and threads of the first seconds; a leak of a picture each would be above."""


def test_nine_labelers_get_the_masks_of_their_own_images_and_a_burst_is_answered(
    tmp_path: Path,
) -> None:
    with soak.stand(tmp_path, CACHE_MB) as both:
        pictures = make_pictures(both.studio, tmp_path / "alone", PICTURES)
        labelers = Labelers(pictures, both.segmentation.url, both.sam.url, pause=(0, 0))
        with soak.watched(both) as samples:
            notes = labelers.work(soak.PEOPLE, SECONDS)
        assert notes.wrong == []
        assert notes.tasks >= soak.PEOPLE
        assert total(both.sam.url, "segstudio_embeddings_total", source="disk") > 0
        opened = len(notes.seconds["open"])
        relayed = "segstudio_relayed_tasks_total"
        eventually(lambda: total(both.segmentation.url, relayed) == opened, 60)
        sent = total(both.segmentation.url, relayed, outcome="sent")
        assert sent > 0.9 * opened  # a sam backend that is stalled for seconds is not asked again
        prepared = "segstudio_prewarm_tasks_total"
        eventually(lambda: sent <= total(both.sam.url, prepared) <= opened, 60)

        found = soak.burst(both.sam, pictures)
        assert found.other == ()
        assert found.served
        # A click beyond MAX_QUEUE is answered empty, not with 503: Label Studio shows no errors.
        assert found.served == soak.BURST

        assert samples[-1].together - samples[len(samples) // 3].together < GROWTH_MB
