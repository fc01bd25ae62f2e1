"""References in a form that is safe to show."""

import re

MAX_SHOWN = 200
_SECRET_QUERY = re.compile(r"[?#].*", re.DOTALL)
_LOCAL_FILE = re.compile(r"(/data/local-files/?\?d=[^&#]*)")
_USER_INFO = re.compile(r"//[^/]*@")
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", re.IGNORECASE)


def names_hash(path: str) -> bool:
    """Return whether a file is named by a SHA-256; such files are never rewritten.

    The hash is not that of the content: a thumbnail may be named by the hash of its original.
    """
    return _SHA256.search(path.rpartition("/")[2]) is not None


def redact(reference: str) -> str:
    """Shorten a reference for messages and logs, without possible secrets.

    Removes queries (signatures), fragments, user names and the content of data URIs; replaces
    control characters by ``?``. Local-files references and ``gs://`` names keep their full path.
    """
    if reference[:5].lower() == "data:":
        shown = f"{reference[:40].partition(',')[0]},… ({len(reference)} characters)"
    elif reference[:5].lower() == "gs://":
        shown = reference
    else:
        shown = _USER_INFO.sub("//", _cut_query(reference), count=1)
    shown = "".join(c if c.isprintable() else "?" for c in shown)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"


def _cut_query(reference: str) -> str:
    if local_file := _LOCAL_FILE.search(reference):
        return reference[: local_file.end()]
    return _SECRET_QUERY.sub("?…", reference, count=1)
