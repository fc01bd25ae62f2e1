"""What bulk predictions use of Label Studio 1.23.2's API, over HTTP; tests/e2e has the real one."""

import json
from collections.abc import Callable
from threading import Timer
from typing import Any

from tests.support.json_server import Asked, JsonServer

Fault = Callable[[str], int | None]
"""Method of a request to the status that it gets instead of an answer, if any."""


OUT_OF_ORDER = {"detail": "out of order"}


class ProjectServer(JsonServer):
    """One project on loopback.

    Attributes:
        tasks: Data by id.
        predictions: Task and model version of each, in the order they came.
        fault: Asked before each request; what it refuses is not done.
        lost_answer: Asked likewise; what it refuses is done all the same, ``late`` seconds later.
        postgresql: Whether its database is that, and not SQLite.
    """

    def __init__(self, tasks: dict[int, dict[str, str]]) -> None:
        self.tasks = tasks
        self.predictions: list[tuple[int, str]] = []
        self.fault: Fault = lambda _method: None
        self.lost_answer: Fault = lambda _method: None
        self.late = 0.0
        self._at_work: list[Timer] = []
        self.postgresql = False
        super().__init__()

    def reply(self, asked: Asked) -> tuple[int, Any]:
        if status := self.fault(asked.method):
            return status, OUT_OF_ORDER
        if status := self.lost_answer(asked.method):
            self._at_work.append(Timer(self.late, self.answer, [asked]))
            self._at_work[-1].start()
            return status, OUT_OF_ORDER
        return 200, self.answer(asked)

    def finish(self) -> None:
        """Wait until all that was asked is done."""
        for each in self._at_work:
            each.join()

    def answer(self, asked: Asked) -> Any:
        return self.read(asked) if asked.method == "GET" else self.add(asked.body)

    def read(self, asked: Asked) -> Any:
        if asked.path == "/api/tasks":
            return self.page(asked.query)
        assert asked.path == "/api/predictions"
        return [{"model_version": version} for version in self._versions(int(asked.query["task"]))]

    def page(self, query: dict[str, str]) -> Any:
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        (chosen,) = asked["filters"]["items"]
        value = chosen["value"]
        later, ids = chosen["operator"] == "greater", sorted(self.tasks)
        ids = [id_ for id_ in ids if (id_ > value if later else id_ in value)]
        shown = ids[: int(query["page_size"])]
        return {"tasks": [self._task(id_) for id_ in shown], "total": len(ids)}

    def _task(self, id_: int) -> dict[str, Any]:
        return {
            "id": id_,
            "data": self.tasks[id_],
            "predictions_model_versions": self._listed(self._versions(id_)),
        }

    def _versions(self, id_: int) -> list[str]:
        return [version for task, version in self.predictions if task == id_]

    def _listed(self, versions: list[str]) -> str:
        """As ``_pretty_results`` in its data_manager/serializers.py; it has them in any order."""
        unique = list(dict.fromkeys(versions))
        text = json.dumps(unique, ensure_ascii=False)[1:-1] if self.postgresql else ",".join(unique)
        return text[:500].replace('"', "")

    def add(self, body: list[dict[str, Any]]) -> Any:
        assert all(each["task"] in self.tasks for each in body)
        self.predictions += [(each["task"], each["model_version"]) for each in body]
        return {"created": len(body)}
