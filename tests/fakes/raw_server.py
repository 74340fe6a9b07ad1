# SPDX-License-Identifier: Apache-2.0
"""A server that says exactly the bytes it is told to, one answer a connection."""

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class RawServer:
    """Answers on a free port of 127.0.0.1 from `__enter__` to `__exit__`.

    Args:
        answers: one a connection.
        tls: certificate to answer with.
        hold: say nothing more after an answer, but do not hang up either.

    Attributes:
        asked: what clients said, one a connection.
    """

    def __init__(
        self, *answers: bytes, tls: ssl.SSLContext | None = None, hold: bool = False
    ) -> None:
        self.asked: list[bytes] = []
        self._answers = answers
        self._tls, self._hold = tls, hold
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError):  # of a client that has heard enough
                self._talk(connection, answer)

    def _talk(self, plain: socket.socket, answer: bytes) -> None:
        with plain, self._wrapped(plain) as connection:
            self.asked.append(connection.recv(65536))
            connection.sendall(answer)
            if not self._hold:
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(plain, server_side=True) if self._tls else plain


def loopback_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the file of a certificate of 127.0.0.1, signed by itself, and what serves it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    unsigned = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(unsigned.sign(key, SHA256()).public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return certificate, context
