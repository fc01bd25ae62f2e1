"""Signed addresses: which part of a query is the signature."""

from collections.abc import Callable

import httpx

_AZURE = frozenset(
    {"sig", "sv", "sr", "ss", "srt", "sp", "se", "st", "spr", "sip", "sdd", "skoid", "sktid"}
    | {"skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "ses"}
)
_OLDER = frozenset(
    {"signature", "expires", "policy", "key-pair-id"}
    | {"awsaccesskeyid", "googleaccessid", "ossaccesskeyid"}
)
_SIGNERS: tuple[tuple[frozenset[str], Callable[[str], bool]], ...] = (
    (frozenset({"x-amz-signature"}), lambda name: name.startswith("x-amz-")),
    (frozenset({"x-goog-signature"}), lambda name: name.startswith("x-goog-")),
    (frozenset({"x-oss-signature"}), lambda name: name.startswith("x-oss-")),
    (frozenset({"signature", "expires"}), _OLDER.__contains__),
    (frozenset({"signature", "policy"}), _OLDER.__contains__),
    (frozenset({"sig", "sv"}), _AZURE.__contains__),
)
"""Parameters that show that an address is signed → whether one belongs to the signature."""


def without_signature(url: httpx.URL) -> httpx.URL:
    """Remove the signature from an address, and what only dates or names the signer.

    An address that is not signed in a known way is returned as it is.
    """
    given = url.params.multi_items()
    names = {name.lower() for name, _ in given}
    for shown_by, belongs in _SIGNERS:
        if shown_by <= names:
            left = [(name, value) for name, value in given if not belongs(name.lower())]
            return url.copy_with(params=left) if left else url.copy_with(query=None)
    return url
