"""What exports read of Label Studio 1.23.2's API, over HTTP; ``tests/e2e`` has the real one."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.json_server import Asked, JsonServer

TOKEN = "0123456789abcdef0123456789abcdef01234567"
TIME = "2026-11-23T02:53:55.509426Z"

Task = dict[str, Any]


@dataclass
class FakeProject:
    """A project whose tasks are made when they are asked for.

    Attributes:
        label_config: XML.
        size: How many tasks it has.
        task: Makes one of its number, from 1 on; each call may give another answer.
        counts: Replaces what it counts itself, where it is not empty.
    """

    label_config: str
    size: int
    task: Callable[[int], Task]
    counts: dict[str, int] = field(default_factory=dict)

    def record(self, id_: int) -> dict[str, Any]:
        counted = Counter(
            bool(each["was_cancelled"])
            for number in range(self.size)
            for each in self.task(number + 1)["annotations"]
        )
        return {
            "id": id_,
            "title": f"Copy {id_}",
            "description": "",
            "label_config": self.label_config,
            "task_number": self.size,
            "total_annotations_number": counted[False],
            "skipped_annotations_number": counted[True],
            **self.counts,
        }


class LabelStudioServer(JsonServer):
    """A Label Studio on loopback.

    Attributes:
        projects: By id; ids of tasks begin at 1000 times that.
        users: E-mail addresses by id.
        before: Called with the path of each request before it is answered.
        requests: Paths.
    """

    def __init__(self) -> None:
        self.projects: dict[int, FakeProject] = {}
        self.users = {1: "anna@example.org", 2: "ben@example.org"}
        self.before: Callable[[str], None] = lambda _path: None
        self.requests: list[str] = []
        super().__init__()

    def reply(self, asked: Asked) -> tuple[int, Any]:
        self.requests.append(asked.path)
        self.before(asked.path)
        if asked.authorization != f"Token {TOKEN}":
            return 401, {"detail": "Invalid token."}
        return self.answer(asked.path, asked.query)

    def add(self, label_config: str, tasks: Sequence[Task]) -> int:
        """Add a project of these tasks; returns its id."""
        return self.add_lazy(label_config, len(tasks), lambda number: tasks[number - 1])

    def add_lazy(self, label_config: str, size: int, task: Callable[[int], Task]) -> int:
        """Add a project; its tasks are made when they are asked for."""
        id_ = len(self.projects) + 3
        self.projects[id_] = FakeProject(label_config, size, task)
        return id_

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path == "/api/users":
            return 200, [{"id": id_, "email": email} for id_, email in self.users.items()]
        id_ = int(query["project"]) if path == "/api/tasks" else int(path.rpartition("/")[2])
        if id_ not in self.projects:
            return 404, {"detail": "No Project matches the given query."}
        if path == "/api/tasks":
            return 200, self._page(id_, query)
        record = self.projects[id_].record(id_)
        wanted = query.get("include", ",".join(record)).split(",")
        return 200, {name: value for name, value in record.items() if name in wanted}

    def _page(self, id_: int, query: dict[str, str]) -> Any:
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        assert query["fields"] == "all"
        (later,) = asked["filters"]["items"]
        assert (later["filter"], later["operator"]) == ("filter:tasks:id", "greater")
        project, base = self.projects[id_], id_ * 1_000_000
        first = max(later["value"] - base, 0) + 1
        last = min(first + int(query["page_size"]) - 1, project.size)
        tasks = [{**project.task(n), "id": base + n} for n in range(first, last + 1)]
        return {"tasks": tasks, "total": max(project.size - first + 1, 0)}


def task(identifier: str, *annotations: dict[str, Any], **data: str) -> Task:
    """A task as ``segstudio project create`` makes it."""
    image = f"gs://looks/{identifier}"
    return {
        "data": {"image": image, **data},
        "meta": {"identifier": identifier},
        "annotations": list(annotations),
    }


def annotation(
    id_: int, *result: dict[str, Any], by: int | None = 1, skipped: bool = False, at: str = TIME
) -> dict[str, Any]:
    """An annotation."""
    return {
        "id": id_,
        "result": list(result),
        "completed_by": by,
        "was_cancelled": skipped,
        "created_at": TIME,
        "updated_at": at,
        "lead_time": 2.5,
    }
