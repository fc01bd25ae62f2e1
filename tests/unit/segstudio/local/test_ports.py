import socket

import pytest

from segstudio.errors import ProcessError
from segstudio.local.ports import check_ports
from tests.support.processes import free_port


def test_free_ports_are_fine() -> None:
    check_ports({"LABEL_STUDIO_PORT": free_port(), "SAM_PORT": free_port()})


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_named_with_the_variable_that_moves_it(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ProcessError) as error:
            check_ports({"LABEL_STUDIO_PORT": free_port(), "SAM_PORT": port})
    assert str(port) in error.value.message
    assert "SAM_PORT" in error.value.hint


def test_a_port_that_was_just_left_is_free_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        connection, _ = server.accept()
        connection.close()
        client.close()
    check_ports({"SAM_PORT": port})


def test_one_port_for_two_programs_is_refused() -> None:
    port = free_port()
    with pytest.raises(ProcessError, match="SEGMENTATION_PORT and SAM_PORT are both"):
        check_ports({"SEGMENTATION_PORT": port, "SAM_PORT": port})
