"""Memory of ``segstudio project create`` for large tables."""

import subprocess
import sys
from pathlib import Path

from tests.support.label_studio_server import FakeProject, LabelStudioServer
from tests.unit.segstudio.projects.test_tasks import project as project
from tests.unit.segstudio.projects.test_tasks import table

FILL = """
import sys
from pathlib import Path
from segstudio.data.tables import CsvTable
from tests.unit.segstudio.projects.test_tasks import fill
fill(sys.argv[1], CsvTable(Path(sys.argv[2])))
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def test_a_hundred_thousand_rows_are_streamed_with_flat_memory(
    tmp_path: Path, label_studio: LabelStudioServer, project: FakeProject
) -> None:
    peaks = []
    for size in (2_000, 100_000):
        project.tasks.clear()
        table(tmp_path, *(f"{n},{'x' * 100},gs://one/{n}.jpg" for n in range(size)))
        words = [sys.executable, "-c", FILL, label_studio.url, str(tmp_path / "posts.csv")]
        run = subprocess.run(words, capture_output=True, check=True)
        peaks.append(int(run.stdout))
        assert len(project.tasks) == size
    assert max(len(each.json()) for each in label_studio.requests if each.method == "POST") == 500
    assert (
        peaks[1] - peaks[0] < 10_000
    )  # KiB; the rows alone are 20 MB as text, far more as objects
