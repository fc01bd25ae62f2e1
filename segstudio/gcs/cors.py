"""CORS rules of buckets: add the one that Label Studio's pages need, keep the others."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError

Rule = Mapping[str, Any]
"""Entry of a bucket's ``cors``, as in Google's JSON API."""

_METHODS = ("GET",)
_HEADERS = ("Content-Type", "Access-Control-Allow-Origin")
_SECONDS = 3600


def origin(text: str) -> str:
    """Return an origin as browsers send it: ``http(s)://host[:port]``, or ``*`` for all.

    Raises:
        SettingsError: The text has a path, or no scheme.
    """
    if text == "*":
        return text
    parts = urlsplit(text.removesuffix("/"))
    if parts.scheme not in {"http", "https"} or not parts.netloc or text.count("/") > 3:
        raise SettingsError(f"{text!r} is not an origin", "write it as http://localhost:8080")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError(
            f"{text!r} is more than an origin", f"write {parts.scheme}://{parts.hostname}…"
        )
    return f"{parts.scheme}://{parts.netloc}".lower()


def label_studio_rule(origins: Sequence[str]) -> Rule:
    """Return the rule in Label Studio's documentation: GET of images, cached for an hour.

    Source: https://labelstud.io/guide/storage#Troubleshoot-CORS-and-access-problems
    """
    return {
        "origin": sorted(set(origins)),
        "method": list(_METHODS),
        "responseHeader": list(_HEADERS),
        "maxAgeSeconds": _SECONDS,
    }


def with_rule(rules: Sequence[Rule], wanted: Rule) -> list[Rule]:
    """Return the rules with the wanted one added; unchanged if it exists.

    A rule for the same origins is replaced, because it would take precedence; others stay.
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
