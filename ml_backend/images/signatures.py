"""Signed addresses: which query parameters form the signature."""

from collections.abc import Callable, Collection

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
"""Parameters that mark an address as signed → whether a parameter belongs to the signature."""


def signature_parameters(names: Collection[str]) -> frozenset[str]:
    """Return those query parameters that form the signature, dates and signer included.

    Args:
        names: Names of all parameters of the query, in lower case.

    Returns:
        Empty if the query is not signed in a known way.
    """
    for marks, belongs in _SIGNERS:
        if marks <= set(names):
            return frozenset(filter(belongs, names))
    return frozenset()


def without_signature(url: httpx.URL) -> httpx.URL:
    """Remove the signature from an address; one without a known signature stays as it is."""
    given = url.params.multi_items()
    signature = signature_parameters({name.lower() for name, _ in given})
    if not signature:
        return url
    left = [(name, value) for name, value in given if name.lower() not in signature]
    return url.copy_with(params=left) if left else url.copy_with(query=None)
