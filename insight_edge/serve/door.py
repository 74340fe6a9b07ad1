# SPDX-License-Identifier: Apache-2.0
"""Which place may be opened, and what is asked of who comes: closed unless it is safe.

Loopback and Unix sockets need nothing. Any other address needs TLS and a token: a model that
answers anybody can be copied by asking it.
"""

import ipaddress
import os
import ssl
from pathlib import Path
from typing import Final

from insight_edge.errors import ConfigurationError
from insight_edge.serve.access import LOOPBACK, Access
from insight_edge.serve.place import Place, Port, SocketFile

MIN_TOKEN: Final = 16
MAX_TOKEN: Final = 4096


def door(
    *,
    host: str,
    port: int,
    socket: Path | None,
    certificate: Path | None,
    key: Path | None,
    token_file: Path | None,
) -> tuple[Place, Access]:
    """Return where to listen and what a request has to show.

    Raises:
        ConfigurationError: that place would let anybody in, or a file cannot be used.
    """
    token = None if token_file is None else read_token(token_file)
    if (certificate is None) != (key is None):
        raise ConfigurationError("a certificate and its key belong together")
    if socket is not None:
        if certificate is not None:
            raise ConfigurationError("a Unix socket has no certificate", hint="leave one out")
        return SocketFile(socket), Access(token=token, hosts=frozenset())
    address = _address(host)
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"there is no port {port}")
    if not address.is_loopback and (certificate is None or token is None):
        raise ConfigurationError(
            f"{address} can be reached by others: it needs TLS and a token",
            hint="--certificate FILE --key FILE --token-file FILE, or leave --host out",
        )
    tls = None if certificate is None or key is None else _tls(certificate, key)
    hosts = LOOPBACK | {str(address)} if address.is_loopback else frozenset()
    return Port(str(address), port, tls), Access(token=token, hosts=hosts)


def read_token(path: Path) -> bytes:
    """Return the token in a file that nobody else can read.

    Raises:
        ConfigurationError: others can, or what is in it is no token. The token is not quoted.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(MAX_TOKEN + 1).strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(f"{path}: others can read it", hint=f"chmod 600 {path}")
    if not MIN_TOKEN <= len(token) <= MAX_TOKEN or not all(0x21 <= byte <= 0x7E for byte in token):
        raise ConfigurationError(
            f"{path}: a token is {MIN_TOKEN} to {MAX_TOKEN} printable characters without a space",
            hint="python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise ConfigurationError(
            f"'{host}' is no address", hint="127.0.0.1, ::1, or an address of this machine"
        ) from error


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigurationError(
            f"{certificate}, {key}: cannot be used: {error.strerror or error}"
        ) from error
    return context
