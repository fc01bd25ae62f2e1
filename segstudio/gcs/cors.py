"""Cross-origin rules of buckets: the one that Label Studio's pages need, beside those there are."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError

Rule = Mapping[str, Any]
"""One entry of a bucket's ``cors``, in the words of Google's JSON API."""

_METHODS = ("GET",)
_HEADERS = ("Content-Type", "Access-Control-Allow-Origin")
_SECONDS = 3600


def origin(text: str) -> str:
    """An origin as browsers send it: ``http(s)://host[:port]``, or ``*`` for all.

    Raises:
        SettingsError: It has a path, or no scheme.
    """
    if text == "*":
        return text
    parts = urlsplit(text.removesuffix("/"))
    if parts.scheme not in {"http", "https"} or not parts.netloc or text.count("/") > 3:
        raise SettingsError(f"{text!r} is no origin", "write it as http://localhost:8080")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError(
            f"{text!r} is more than an origin", f"write {parts.scheme}://{parts.hostname}…"
        )
    return f"{parts.scheme}://{parts.netloc}".lower()


def label_studio_rule(origins: Sequence[str]) -> Rule:
    """What Label Studio's documentation asks for: its pages may GET images, an hour long.

    Source: https://labelstud.io/guide/storage#Troubleshoot-CORS-and-access-problems
    """
    return {
        "origin": sorted(set(origins)),
        "method": list(_METHODS),
        "responseHeader": list(_HEADERS),
        "maxAgeSeconds": _SECONDS,
    }


def with_rule(rules: Sequence[Rule], wanted: Rule) -> list[Rule]:
    """The rules with the wanted one among them; the same ones where it is there already.

    A rule for the same origins is replaced, as it would answer in place of the wanted one; others
    stay as they are.
    """
    if any(_same(rule, wanted) for rule in rules):
        return list(rules)
    others = [rule for rule in rules if set(rule.get("origin", ())) != set(wanted["origin"])]
    return [wanted, *others]


def allowed_origins(rules: Sequence[Rule]) -> set[str]:
    """Return the origins whose pages may read images; ``*`` stands for all."""
    return {
        origin
        for rule in rules
        if "GET" in rule.get("method", ())
        for origin in rule.get("origin", ())
    }


def _same(rule: Rule, wanted: Rule) -> bool:
    return rule.get("maxAgeSeconds") == wanted["maxAgeSeconds"] and all(
        set(rule.get(key, ())) == set(wanted[key]) for key in ("origin", "method", "responseHeader")
    )
