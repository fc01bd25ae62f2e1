"""A stack of our own, under a name of its own, driven as an operator drives it."""

import json
import logging
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.repository import ROOT

_ENVIRONMENT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")
_CLEAR_LINE = "\x1b[2K"  # which some versions of compose put before lines, terminal or not
_PATIENCE = 1500  # the first call builds the images

log = logging.getLogger(__name__)


def docker(*words: str, check: bool = True) -> str:
    """What ``docker`` prints on stdout."""
    log.info("docker %s", " ".join(words))
    return _run(["docker", *words], _environment({}), check)


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | variables


def _run(command: Sequence[str], environment: dict[str, str], check: bool) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return done.stdout


@dataclass
class Stack:
    """The services of some compose files.

    Attributes:
        name: Of the compose project; everything that it leaves in Docker carries it.
        files: Compose files, paths from the checkout.
        variables: As an operator sets them in ``.env``.
    """

    name: str
    files: Sequence[str]
    variables: dict[str, str] = field(default_factory=dict)

    def compose(self, *words: str, check: bool = True) -> str:
        """What ``docker compose`` prints on stdout; a ``.env`` of the checkout is not read."""
        log.info("docker compose %s", " ".join(words))
        options = [word for file in self.files for word in ("--file", file)]
        named = ["docker", "compose", "--project-name", self.name, "--env-file", os.devnull]
        return _run([*named, *options, *words], _environment(self.variables), check)

    def up(self, *words: str) -> None:
        """Start what is not running, and wait until the project is ready."""
        self.compose("up", "--detach", "--wait", "--quiet-pull", *words)
        (bootstrap,) = self.inspect("bootstrap", "--all")
        state = bootstrap["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), self.logs("bootstrap")

    def down(self, *words: str) -> None:
        """Remove the containers; what they stored stays, unless ``words`` say otherwise."""
        self.compose("down", "--remove-orphans", *words)

    def logs(self, service: str) -> str:
        """What a service has written since its container was made."""
        told = self.compose("logs", "--no-log-prefix", "--no-color", service)
        return told.replace(_CLEAR_LINE, "")

    def containers(self, service: str, *words: str) -> list[str]:
        """Ids of a service's containers."""
        return self.compose("ps", "--quiet", *words, service).split()

    def inspect(self, service: str, *words: str) -> list[dict[str, Any]]:
        """All that Docker knows of a service's containers."""
        found: list[dict[str, Any]] = json.loads(
            docker("inspect", *self.containers(service, *words))
        )
        return found

    def python(self, service: str, program: str) -> str:
        """What a Python program prints in a service's container."""
        return self.compose("exec", "--no-TTY", service, "python", "-c", program).strip()

    @property
    def address(self) -> str:
        """Of the project, as the log of bootstrap tells it."""
        return self._told("Ready")

    @property
    def url(self) -> str:
        """Of Label Studio."""
        return self.address.partition("/projects/")[0]

    @property
    def project(self) -> int:
        """Id of the project."""
        return int(self.address.split("/")[-2])

    @property
    def login(self) -> tuple[str, str]:
        """E-mail address and password; the latter as the log of bootstrap tells to read it."""
        command = self._told("Password").split()
        assert command[:3] == ["docker", "compose", "exec"]
        return self._told("Login"), self.compose("exec", "--no-TTY", *command[3:]).strip()

    def _told(self, what: str) -> str:
        told = re.findall(rf"^{what}: (.+)$", self.logs("bootstrap"), re.MULTILINE)
        assert told, self.logs("bootstrap")
        return str(told[-1])

    @property
    def token(self) -> str:
        """Label Studio's token of the first user."""
        return self.compose("exec", "--no-TTY", "label-studio", *_SHOW_TOKEN).strip()

    def client(self, **options: Any) -> httpx.Client:
        """Label Studio's API at its published port, as the first user."""
        headers = {"Authorization": f"Token {self.token}"}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=150, trust_env=False, **options
        )

    def left_behind(self) -> list[str]:
        """Containers, volumes and networks that still carry the stack's name."""
        label = f"label=com.docker.compose.project={self.name}"
        listings = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [
            each for words in listings for each in docker(*words, "-q", "-f", label).splitlines()
        ]


_SHOW_TOKEN = ("cat", "/secrets/label_studio_api_key")
