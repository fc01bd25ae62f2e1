"""Nine labelers at once on both backends, without pauses; ``make bench`` has them for longer."""

from pathlib import Path

from benchmarks import soak
from benchmarks.labelers import Labelers, make_pictures

PICTURES = 24
SECONDS = 25
GROWTH_MB = 150
"""That is, caches and threads of the first seconds; a leak of a picture each would be above."""


def test_nine_labelers_get_the_masks_of_their_own_images_and_a_burst_gets_503(
    tmp_path: Path,
) -> None:
    with soak.stand(tmp_path) as both:
        pictures = make_pictures(both.studio, tmp_path / "alone", PICTURES)
        labelers = Labelers(pictures, both.segmentation.url, both.sam.url, pause=(0, 0))
        with soak.watched(both) as samples:
            notes = labelers.work(soak.PEOPLE, SECONDS)
        assert notes.wrong == []
        assert notes.tasks >= soak.PEOPLE

        found = soak.burst(both.sam, pictures)
        assert found.other == ()
        assert found.served
        assert found.refused
        assert found.served + found.refused == soak.BURST

        assert samples[-1].together - samples[len(samples) // 3].together < GROWTH_MB
