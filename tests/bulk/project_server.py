"""What bulk predictions use of Label Studio 1.23.2's API, over HTTP; tests/e2e has the real one."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Fault = Callable[[str], int | None]
"""Method of a request to the status that it gets instead of an answer, if any."""


class ProjectServer:
    """One project on loopback.

    Attributes:
        tasks: Data by id.
        predictions: Task and model version of each, in the order they came.
        fault: Asked before each request; what it refuses is not done.
        lost_answer: Asked likewise; what it refuses is done all the same.
    """

    def __init__(self, tasks: dict[int, dict[str, str]]) -> None:
        self.tasks = tasks
        self.predictions: list[tuple[int, str]] = []
        self.fault: Fault = lambda _method: None
        self.lost_answer: Fault = lambda _method: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {n: v[0] for n, v in parse_qs(urlsplit(self.path).query).items()}
                self.reply(lambda: server.page(query))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(lambda: server.add(body))

            def reply(self, work: Callable[[], Any]) -> None:
                status = server.fault(self.command)
                answer = None if status else work()
                status = status or server.lost_answer(self.command) or 200
                body = json.dumps(answer if status == 200 else {"detail": "out of order"}).encode()
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

    def page(self, query: dict[str, str]) -> Any:
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        (chosen,) = asked["filters"]["items"]
        value = chosen["value"]
        later, ids = chosen["operator"] == "greater", sorted(self.tasks)
        ids = [id_ for id_ in ids if (id_ > value if later else id_ in value)][
            : int(query["page_size"])
        ]
        return {"tasks": [self._task(id_) for id_ in ids]}

    def _task(self, id_: int) -> dict[str, Any]:
        versions = dict.fromkeys(version for task, version in self.predictions if task == id_)
        return {
            "id": id_,
            "data": self.tasks[id_],
            "predictions_model_versions": ",".join(versions),
        }

    def add(self, body: list[dict[str, Any]]) -> Any:
        assert all(each["task"] in self.tasks for each in body)
        self.predictions += [(each["task"], each["model_version"]) for each in body]
        return {"created": len(body)}

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
