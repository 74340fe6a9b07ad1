# SPDX-License-Identifier: Apache-2.0
"""Where a server listens: a port of this machine, one of the network with TLS, or a Unix socket."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from insight_edge.bundle.socket_address import socket_address
from insight_edge.errors import ConfigurationError

BACKLOG = 128

Opening = Callable[[], asyncio.BaseProtocol]


class Place(Protocol):
    """Something to listen on."""

    @property
    def address(self) -> str:
        """What a client is told."""
        ...

    async def listen(self, loop: asyncio.AbstractEventLoop, opening: Opening) -> asyncio.Server:
        """Take connections from now on.

        Raises:
            ConfigurationError: it cannot.
        """
        ...

    def leave(self) -> None:
        """Leave nothing behind that a client could find."""
        ...


class Port:
    """A TCP port; with a certificate it speaks TLS.

    Args:
        host: address to bind, no name.
        port: 0 for one that is free.
        certificate: of the server, and its key.
    """

    def __init__(self, host: str, port: int, certificate: ssl.SSLContext | None = None) -> None:
        self._host, self._port, self._certificate = host, port, certificate

    @property
    def address(self) -> str:
        """What a client is told."""
        scheme = "http" if self._certificate is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}"

    async def listen(self, loop: asyncio.AbstractEventLoop, opening: Opening) -> asyncio.Server:
        """Take connections from now on."""
        try:
            server = await loop.create_server(
                opening, self._host, self._port, backlog=BACKLOG, ssl=self._certificate
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self.address}: cannot be listened on: {error.strerror or error}",
                hint="choose another --port, 0 for any that is free",
            ) from error
        self._port = server.sockets[0].getsockname()[1]
        return server

    def leave(self) -> None:
        """Leave nothing behind."""


class SocketFile:
    """A Unix socket that only this user can connect to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def address(self) -> str:
        """What a client is told."""
        return f"unix:{self._path}"

    async def listen(self, loop: asyncio.AbstractEventLoop, opening: Opening) -> asyncio.Server:
        """Take connections from now on; a socket that nobody listens on is replaced."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._refuse_other()
            with socket_address(self._path) as address:
                listener.bind(address)
            self._path.chmod(0o600)  # before it listens: until then nobody can connect
            return await loop.create_unix_server(opening, sock=listener, backlog=BACKLOG)
        except OSError as error:
            listener.close()
            raise ConfigurationError(
                f"{self._path}: no socket can be made: {error.strerror or error}",
                hint="choose another path for --socket",
            ) from error
        except ConfigurationError:
            listener.close()
            raise

    def leave(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def _refuse_other(self) -> None:
        """Refuse a path where something else is; remove a socket that was left behind."""
        if not os.path.lexists(self._path):
            return
        if not self._path.is_socket():
            raise ConfigurationError(f"{self._path}: there is a file", hint="choose another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                with socket_address(self._path) as address:
                    probe.connect(address)
            except ConnectionRefusedError:
                self._path.unlink()
                return
        raise ConfigurationError(
            f"{self._path}: another server listens there", hint="end it, or choose another path"
        )
