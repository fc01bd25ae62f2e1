"""Check that ports are free, before anything is started."""

import errno
import socket
from collections.abc import Mapping

from segstudio.errors import ProcessError


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise an error if a port is in use.

    Args:
        ports: Port by the name of the variable that sets it.

    Raises:
        ProcessError: A port is taken, not allowed, or used twice; names the variable.
    """
    variables: dict[int, str] = {}
    for variable, port in ports.items():
        if port in variables:
            raise ProcessError(f"{variables[port]} and {variable} are both {port}", "change one")
        variables[port] = variable
        if problem := _port_problem(port):
            raise ProcessError(
                f"port {port} {problem}", f"end that program, or set {variable} to another port"
            )


def _port_problem(port: int) -> str:
    for family, kind, protocol, _, address in socket.getaddrinfo(
        "localhost", port, type=socket.SOCK_STREAM
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return "is taken by another program"
                if error.errno == errno.EACCES:
                    return "may only be used by root"
    return ""
