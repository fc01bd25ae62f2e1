"""What exports read of Label Studio 1.23.2's API, over HTTP; ``tests/e2e`` has the real one."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from label_studio_sdk._extensions.label_studio_tools.core.label_config import (
    parse_config,
)

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
            "parsed_label_config": parse_config(self.label_config),
            "task_number": self.size,
            "total_annotations_number": counted[False],
            "skipped_annotations_number": counted[True],
            **self.counts,
        }


class LabelStudioServer:
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
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                server.requests.append(parts.path)
                server.before(parts.path)
                if self.headers["Authorization"] != f"Token {TOKEN}":
                    return self.reply(401, {"detail": "Invalid token."})
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                return self.reply(*server.answer(parts.path, query))

            def reply(self, status: int, answer: Any) -> None:
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

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

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _page(self, id_: int, query: dict[str, str]) -> Any:
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        assert query["fields"] == "all"
        (later,) = asked["filters"]["items"]
        assert (later["filter"], later["operator"]) == ("filter:tasks:id", "greater")
        project, base = self.projects[id_], id_ * 1_000_000
        first = max(later["value"] - base, 0) + 1
        last = min(first + int(query["page_size"]) - 1, project.size)
        return {"tasks": [{**project.task(n), "id": base + n} for n in range(first, last + 1)]}


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
