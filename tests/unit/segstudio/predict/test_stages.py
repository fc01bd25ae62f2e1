"""The stages import the backends only on the workers that run them."""

import subprocess
import sys


def test_the_stages_import_a_backend_only_where_they_run() -> None:
    names = "{'segmentation_backend', 'sam_backend', 'torch'} & {*sys.modules}"
    script = f"import sys, segstudio.predict.stages; print({names})"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"
