"""Bodies of requests: read without a second copy, and validated."""

from typing import TypeVar

import msgspec
from flask import Request, request

from ml_backend.errors import RequestError

_CHUNK = 1 << 16

_Body = TypeVar("_Body")


def read_body(kind: type[_Body]) -> _Body:
    """Return the body of the current request, validated as ``kind``.

    Raises:
        RequestError: The body is too large, or does not match ``kind``.
    """
    return decode(read(request), kind)


def decode(sent: bytearray, kind: type[_Body]) -> _Body:
    """Return a JSON body, validated as ``kind``.

    Raises:
        RequestError: The body does not match ``kind``.
    """
    try:
        return msgspec.json.decode(sent, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(
            f"the body cannot be read: {error}", "send what docs/openapi.yaml describes"
        ) from None


def read(sent: Request) -> bytearray:
    """Return the body without a second copy: ``sent.get_data()`` holds two, and truncates.

    One allocation of the announced size returns to the system afterwards; a buffer that grows
    leaves up to half of a large body in its thread's heap.
    """
    body, end = bytearray(sent.content_length or 0), 0
    while end != sent.content_length and (chunk := sent.stream.read(_CHUNK)):
        body[end : end + len(chunk)] = chunk
        end += len(chunk)
    del body[end:]
    return body
