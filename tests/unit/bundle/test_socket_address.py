# SPDX-License-Identifier: Apache-2.0
"""A socket in a directory of any depth is reached by both ends."""

import os
import socket
from pathlib import Path

import pytest

from insight_edge.bundle.socket_address import MAX_ADDRESS_BYTES, socket_address


def place_of(folder: Path, length_bytes: int) -> Path:
    """Return a path of that length in a directory that is there."""
    name = "s.sock"
    left = length_bytes - len(os.fsencode(folder)) - len(name) - 1
    while left > 0:
        part = min(left - 1, 50) or 1
        folder /= "d" * part
        left -= part + 1
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


@pytest.mark.parametrize("beyond_bytes", [-1, 0, 1, 2, 500])
def test_both_ends_meet(tmp_path: Path, beyond_bytes: int) -> None:
    path = place_of(tmp_path, MAX_ADDRESS_BYTES + beyond_bytes)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with socket_address(path) as address:
            server.bind(address)
        server.listen(1)
        assert path.is_socket()
        with socket_address(path) as address:
            client.connect(address)
        met, _ = server.accept()
        with met:
            client.sendall(b"hello")
            assert met.recv(5) == b"hello"
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_directory_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), socket_address(tmp_path / ("d" * 120) / "s.sock"):
        pass
