"""What segstudio uses of Label Studio 1.23.2's API, over HTTP; ``tests/e2e`` has the real one."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Timer
from typing import Any

from tests.support.http_server import Reply, Request, Server, json_reply

TOKEN = "0123456789abcdef0123456789abcdef01234567"
TIME = "2026-11-23T02:53:55.509426Z"
TARGET = {"id": 7, "bucket": "labels", "prefix": "", "last_sync_count": 0, "traceback": None}

Task = dict[str, Any]
Fault = Callable[[Request], Reply | None]
"""What a request gets instead of its answer, if anything."""


@dataclass
class FakeProject:
    """A project.

    Attributes:
        id: Its number; those of its tasks begin at 1000000 times that.
        label_config: XML.
        tasks: By id.
        counts: Replaces what it counts itself, where it is not empty.
        told: Replaces all else of the record: what a client made the project with.
        login: User name and password for the host of the images.
    """

    id: int
    label_config: str
    tasks: dict[int, Task] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    sampling: str = "Sequential sampling"
    model_version: str | None = "Garments"

    def __post_init__(self) -> None:
        self._ids = count(self.id * 1_000_000 + 1)

    def add(self, tasks: Sequence[Task]) -> None:
        """Add tasks after those that it has had."""
        self.tasks.update({next(self._ids): {"annotations": [], **each} for each in tasks})

    def record(self) -> dict[str, Any]:
        """Tell of the project as the API does."""
        counted = Counter(
            bool(each["was_cancelled"])
            for task in self.tasks.values()
            for each in task["annotations"]
        )
        return {
            "id": self.id,
            "title": f"Copy {self.id}",
            "created_at": TIME,
            "sampling": self.sampling,
            "description": "",
            "label_config": self.label_config,
            "show_collab_predictions": True,
            "model_version": self.model_version,
            "task_data_login": self.login and self.login[0],
            "task_data_password": self.login and self.login[1],
            "task_number": len(self.tasks),
            "total_annotations_number": counted[False],
            "skipped_annotations_number": counted[True],
            **self.told,
            **self.counts,
        }


class LabelStudioServer(Server):
    """A Label Studio on loopback.

    Attributes:
        projects: By id.
        users: E-mail addresses by id.
        predictions: Task and model version of each, in the order they came.
        backends: As they were connected, by id.
        password: What the backends ask for just now.
        version: Model version that the backends tell.
        jobs: Status and traceback that the synchronisation of ``TARGET`` goes through, one each
            time the targets are listed, the last for ever; none: there is no target.
        fault: Asked before each request; what it refuses is not done.
        lost_answer: Called with each request; the work of those it selects is done ``late`` seconds
            later.
        postgresql: Whether its database is that, and not SQLite.
    """

    def __init__(self) -> None:
        self.projects: dict[int, FakeProject] = {}
        self.users = {1: "anna@example.org", 2: "ben@example.org"}
        self.predictions: list[tuple[int, str]] = []
        self.backends: dict[int, dict[str, Any]] = {}
        self.password = ""
        self.version = "v1"
        self.jobs: list[tuple[str, str | None]] = []
        self.fault: Fault = lambda _request: None
        self.lost_answer: Fault = lambda _request: None
        self.late = 0.0
        self.postgresql = False
        self._backend_ids = count(1)
        self._ids = count(1)
        self._at_work: list[Timer] = []
        super().__init__()

    @property
    def routes(self) -> list[str]:
        """Paths of the requests, without queries."""
        return [request.route for request in self.requests]

    def add(self, label_config: str, tasks: Sequence[Task] = ()) -> int:
        """Add a project of these tasks; returns its id, of which the first is 3."""
        id_ = len(self.projects) + 3
        self.projects[id_] = FakeProject(id_, label_config)
        self.projects[id_].add(tasks)
        return id_

    def finish(self) -> None:
        """Wait until all that was asked is done."""
        for each in self._at_work:
            each.join()

    def reply(self, request: Request) -> Reply:
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return refusal(401, "Invalid token.")
        if refused := self.fault(request):
            return refused
        if lost := self.lost_answer(request):
            self._at_work.append(Timer(self.late, self._answer, [request]))
            self._at_work[-1].start()
            return lost
        return self._answer(request)

    def _answer(self, request: Request) -> Reply:
        match [request.method, *request.route.removeprefix("/api/").strip("/").split("/")]:
            case ["GET", *path]:
                return self._read(path, request.query)
            case ["POST", "projects"]:
                body = request.json()
                id_ = self.add(body["label_config"])
                self.projects[id_].told.update(body)
                return json_reply(self.projects[id_].record(), 201)
            case ["POST", "projects", id_, "import"]:
                self.projects[int(id_)].add(request.json())
                return json_reply({}, 201)
            case ["POST", "projects", id_, "import", "predictions"]:
                made = [(each["task"], each["model_version"]) for each in request.json()]
                assert all(task in self.projects[int(id_)].tasks for task, _ in made)
                self.predictions += made
                for each in request.json():
                    stored = self.projects[int(id_)].tasks[each["task"]]
                    stored.setdefault("written", []).append(each | {"id": next(self._ids)})
                return json_reply({"created": len(made)}, 201)
            case ["POST", "ml"]:
                if "project" not in request.json():
                    return refusal(400, "project: This field is required.")
                return json_reply(self.connect(request.json()), 201)
            case ["PATCH", "ml", id_]:
                return json_reply(self._rename(int(id_), request.json()["title"]))
            case ["DELETE", "ml", id_]:
                del self.backends[int(id_)]
                return Reply(204)
            case ["DELETE", "predictions", id_]:
                self._delete_prediction(int(id_))
                return Reply(204)
            case ["PATCH", "projects", id_]:
                project, body = self.projects[int(id_)], request.json()
                project.model_version = body.pop("model_version", project.model_version)
                project.told.update(body)
                return json_reply(project.record())
            case ["PATCH", "tasks", id_]:
                self.projects[int(id_) // 1_000_000].tasks[int(id_)].update(request.json())
                return json_reply({})
            case ["POST", "storages", "export", "gcs", _, "sync"]:
                return json_reply({**TARGET, "status": "queued"})
        return refusal(405, f'Method "{request.method}" not allowed.')

    def _read(self, path: list[str], query: dict[str, str]) -> Reply:
        match path:
            case ["version"]:
                return json_reply({"release": "1.23.2"})
            case ["current-user", "whoami"]:
                return json_reply({"email": self.users[1]})
            case ["users"]:
                return json_reply([{"id": n, "email": email} for n, email in self.users.items()])
            case ["projects"]:
                return json_reply({"results": [each.record() for each in self.projects.values()]})
            case ["tasks", id_] if (found := self._task(int(id_))) is not None:
                assert query["resolve_uri"] == "false"
                return json_reply(found)
            case ["projects", id_] if int(id_) in self.projects:
                record = self.projects[int(id_)].record()
                return json_reply(_chosen(record, query.get("include", ",".join(record))))
            case ["tasks"] if int(query["project"]) in self.projects:
                return json_reply(self._page(query))
            case ["predictions"]:
                return json_reply(self._task_predictions(int(query["task"])))
            case ["tasks", id_, "annotations"]:
                tasks = self.projects[int(id_) // 1_000_000].tasks
                return json_reply(tasks[int(id_)]["annotations"])
            case ["ml"]:
                connected = [self._told(id_) for id_ in self.backends]
                return json_reply([b for b in connected if b["project"] == int(query["project"])])
            case ["storages", "export", "gcs"]:
                return json_reply(self._targets())
            case ["storages", "export", "gcs", _]:
                # One storage alone stays as it was: only the listing looks for jobs that died.
                return json_reply({**TARGET, "status": "in_progress"})
            case ["storages", "gcs"] | ["webhooks"]:
                return json_reply([])
        return refusal(404, "No Project matches the given query.")

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        assert query["fields"] == "all"
        tasks = self.projects[int(query["project"])].tasks
        filters = asked["filters"]["items"]
        ids = sorted(id_ for id_ in tasks if all(_takes(each, id_, tasks[id_]) for each in filters))
        shown = [
            {
                **_counts(tasks[id_]),
                **tasks[id_],
                "id": id_,
                "predictions_model_versions": self._listed(id_),
            }
            for id_ in ids[: int(query["page_size"])]
        ]
        return {"tasks": [_chosen(each, query["include"]) for each in shown], "total": len(ids)}

    def _task_predictions(self, id_: int) -> list[dict[str, Any]]:
        found = (each.tasks[id_] for each in self.projects.values() if id_ in each.tasks)
        task = next(found, {})
        for each in (stored := task.get("predictions", [])):
            each.setdefault("id", next(self._ids))
        written = task.get("written", [])
        listed = Counter(each["model_version"] for each in written)
        others = Counter(self._versions(id_)) - listed
        return [*stored, *written, *({"model_version": each} for each in others.elements())]

    def _delete_prediction(self, id_: int) -> None:
        for project in self.projects.values():
            for task in project.tasks.values():
                for each in task.get("written", []):
                    if each["id"] == id_:
                        self.predictions.remove((each["task"], each["model_version"]))
                for kind in ("predictions", "written"):
                    task[kind] = [each for each in task.get(kind, []) if each.get("id") != id_]

    def _task(self, id_: int) -> dict[str, Any] | None:
        found = (each for each in self.projects.values() if id_ in each.tasks)
        return next(({**each.tasks[id_], "id": id_, "project": each.id} for each in found), None)

    def _versions(self, id_: int) -> list[str]:
        return [version for task, version in self.predictions if task == id_]

    def _listed(self, id_: int) -> str:
        """As ``_pretty_results`` in its data_manager/serializers.py; it has them in any order."""
        unique = list(dict.fromkeys(self._versions(id_)))
        text = json.dumps(unique, ensure_ascii=False)[1:-1] if self.postgresql else ",".join(unique)
        return text[:500].replace('"', "")

    def connect(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a backend, as ``POST /api/ml`` does."""
        id_ = next(self._backend_ids)
        self.backends[id_] = {"id": id_, **body}
        return self._told(id_)

    def _rename(self, id_: int, title: str) -> dict[str, Any]:
        """Rename a backend, and with it what its project shows, as Label Studio does."""
        backend = self.backends[id_]
        project = self.projects[backend["project"]]
        if project.model_version == backend["title"]:
            project.model_version = title
        backend["title"] = title
        return self._told(id_)

    def _told(self, id_: int) -> dict[str, Any]:
        """Ask a backend, and tell of it; never the password."""
        backend = self.backends[id_]
        hidden = {name: each for name, each in backend.items() if name != "basic_auth_pass"}
        good = backend.get("basic_auth_pass", "") == self.password
        answer = {
            "state": "CO" if good else "DI",
            "error_message": None,
            "model_version": self.version,
        }
        return {"basic_auth_user": None, **hidden, **answer}

    def _targets(self) -> list[dict[str, Any]]:
        if not self.jobs:
            return []
        status, traceback = self.jobs[0]
        del self.jobs[: len(self.jobs) > 1]
        return [{**TARGET, "status": status, "traceback": traceback, "last_sync_count": 5}]


def _counts(task: Task) -> dict[str, int]:
    counted = Counter(bool(each["was_cancelled"]) for each in task["annotations"])
    return {"total_annotations": counted[False], "cancelled_annotations": counted[True]}


def _takes(chosen: dict[str, Any], id_: int, task: Task) -> bool:
    """Whether a filter takes a task."""
    found = {"id": id_, **_counts(task)}[chosen["filter"].removeprefix("filter:tasks:")]
    wanted = chosen["value"]
    match chosen["operator"]:
        case "greater":
            return bool(found > wanted)
        case "equal":
            return bool(found == wanted)
        case "in_list":
            return found in wanted
    raise AssertionError(chosen)


def refusal(status: int, detail: str = "out of order") -> Reply:
    """An error in Label Studio's form."""
    return json_reply({"detail": detail}, status)


def _chosen(record: dict[str, Any], include: str) -> dict[str, Any]:
    """The fields that a client asks for."""
    return {name: record[name] for name in include.split(",") if name in record}


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
