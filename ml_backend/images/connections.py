"""Connections to checked addresses that end at a deadline."""

from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore

from ml_backend.deadline import Deadline
from ml_backend.images.addresses import AddressPolicy


class PinnedBackend(httpcore.NetworkBackend):
    """Network backend that connects only to addresses checked by the policy, until the deadline.

    httpcore keeps the name for the Host header, SNI and the check of the certificate.
    """

    def __init__(self, policy: AddressPolicy, deadline: Deadline) -> None:
        self._policy = policy
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of ``host`` that answers."""
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in self._policy.resolve(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.cap(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return DeadlineStream(stream, self._deadline)
        raise failure


class DeadlineStream(httpcore.NetworkStream):
    """Network stream whose every wait ends at the deadline, even if bytes arrive slowly."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See ``httpcore.NetworkStream``."""
        return self._stream.read(max_bytes, self._deadline.cap(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See ``httpcore.NetworkStream``."""
        self._stream.write(buffer, self._deadline.cap(timeout))

    def close(self) -> None:
        """See ``httpcore.NetworkStream``."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """See ``httpcore.NetworkStream``."""
        capped = self._deadline.cap(timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, capped)
        return DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """See ``httpcore.NetworkStream``."""
        return self._stream.get_extra_info(info)
