"""References as they may be shown to people."""

import re

MAX_SHOWN = 200
_SECRET_QUERY = re.compile(r"[?#].*", re.DOTALL)
_LOCAL_FILE = re.compile(r"(/data/local-files/?\?d=[^&#]*)")
_USER_INFO = re.compile(r"//[^/]*@")


def describe(reference: str) -> str:
    """Shorten a reference for messages and logs, without what could be a secret.

    Queries (signatures), fragments, user names and the content of data URIs are cut out; control
    characters become ``?``. The file of a local-files reference and a whole ``gs://`` name stay.
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
