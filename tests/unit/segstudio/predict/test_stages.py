"""The stages import the backends only on the workers that run them."""

import subprocess
import sys
from pathlib import Path

from ml_backend.images import TaskAccess
from segmentation_backend.settings import SegmentationSettings
from segstudio.predict.stages import load_images
from tests.support.http_server import Reply, Request, Server
from tests.support.pictures import png


def test_the_stages_import_a_backend_only_where_they_run() -> None:
    names = "{'segmentation_backend', 'sam_backend', 'torch'} & {*sys.modules}"
    script = f"import sys, segstudio.predict.stages; print({names})"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"


def test_images_are_fetched_for_their_task_and_with_the_login_of_its_project(
    tmp_path: Path,
) -> None:
    def answer(request: Request) -> Reply:
        return Reply(body=png()) if "Authorization" in request.headers else Reply(401)

    with Server() as web:
        web.replies["/a.png"] = web.replies["/tasks/17/presign/"] = answer
        settings = SegmentationSettings(
            label_studio_url=web.url,
            label_studio_api_key="token",
            allowed_image_hosts=(web.host,),
            image_cache_dir=tmp_path,
        )
        batch = {
            "item": [0, 1],
            "reference": [f"{web.url}/a.png", "s3://photos/a.png"],
            "task": [16, 17],
        }
        access = TaskAccess(project=3, login=("anna", "p"))
        found = list(load_images(batch, settings, access))
        assert [each["reason"] for each in found] == [[""], [""]]
        assert [each["full"] for each in found] == [[(0, 0)], [(0, 0)]]
        assert [each["item"] for each in found] == [[0], [1]]
        tokens = {r.route: r.headers["Authorization"].split()[0] for r in web.requests}
        assert tokens == {"/a.png": "Basic", "/tasks/17/presign/": "Token"}
