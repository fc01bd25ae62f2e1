"""A server that answers as the Hugging Face hub does for model repositories."""

import hashlib
import json

from tests.support.http_server import Reply, Request, Server

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(Server):
    """Repositories in memory.

    Attributes:
        repositories: ``owner/name`` → file name → content; safetensors are held as large files.
        cards: ``owner/name`` → the card's data.
        gated: Repositories whose files need a token.
        commit: Of every repository.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.cards: dict[str, dict[str, str]] = {}
        self.gated: set[str] = set()
        self.commit = COMMIT
        super().__init__()

    def reply(self, request: Request) -> Reply:
        parts = request.route.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._describe("/".join(parts[2:4]), parts[-1])
        name, wanted = "/".join(parts[:2]), "/".join(parts[4:])
        if name in self.gated and request.headers.get("Authorization") != "Bearer good":
            return Reply(401, headers={"X-Error-Code": "GatedRepo"})
        content = self.repositories.get(name, {}).get(wanted)
        return Reply(404) if content is None or parts[3] != self.commit else Reply(200, content)

    def _describe(self, name: str, revision: str) -> Reply:
        if name not in self.repositories or revision not in ("main", self.commit):
            return Reply(401, headers={"X-Error-Code": "RepoNotFound"})
        siblings = [_sibling(*file) for file in self.repositories[name].items()]
        record = {"sha": self.commit, "siblings": siblings, "cardData": self.cards.get(name, {})}
        return Reply(200, json.dumps(record).encode())


def _sibling(name: str, content: bytes) -> dict[str, object]:
    blob = b"blob %d\0" % len(content) + content
    sibling: dict[str, object] = {
        "rfilename": name,
        "size": len(content),
        "blobId": hashlib.sha1(blob, usedforsecurity=False).hexdigest(),
    }
    if name.endswith(".safetensors"):
        sibling["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return sibling
