# SPDX-License-Identifier: Apache-2.0
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)

from insight_edge.fleet.trust.fetcher import Fetcher, Patience
from tests.fakes.update_server import Corrupt, Cut, Drip, Longer, Stall, Status, UpdateServer

FILE = "/v1/tuf/metadata/timestamp.json"
DATA = bytes(range(256)) * 1000
MAX_BYTES = 1_000_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UpdateServer]:
    path = tmp_path / "tuf" / "metadata" / "timestamp.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    with UpdateServer(tmp_path, "secret") as server:
        yield server


def fetch(
    server: UpdateServer,
    *,
    silence_s: float = 5.0,
    total_s: float = 20.0,
    token: str | None = None,
) -> bytes:
    patience = Patience(silence_s=silence_s, total_s=total_s)
    fetcher = Fetcher(token or server.token, patience, max_bytes=MAX_BYTES)
    return b"".join(fetcher.fetch(server.url + FILE))


def test_a_file_is_fetched_whole(server: UpdateServer) -> None:
    assert fetch(server) == DATA


def test_a_wrong_token_is_refused_by_the_server_and_kept_out_of_the_message(
    server: UpdateServer,
) -> None:
    with pytest.raises(DownloadHTTPError) as caught:
        fetch(server, token="guessed-token")
    assert caught.value.status_code == 401
    assert "guessed-token" not in repr(caught.value)


@pytest.mark.parametrize("status", [301, 302, 304, 403, 404, 410, 500])
def test_another_status_than_200_is_an_error_with_its_number(
    server: UpdateServer, status: int
) -> None:
    server.behave(FILE, Status(status))
    with pytest.raises(DownloadHTTPError) as caught:
        fetch(server)
    assert caught.value.status_code == status
    assert len(server.requests) == 1, "redirects are not followed"


@pytest.mark.parametrize("after_bytes", [None, 0, 1, 100_000])
def test_silence_ends_the_attempt(server: UpdateServer, after_bytes: int | None) -> None:
    server.behave(FILE, Stall(after_bytes))
    with pytest.raises(DownloadError):
        fetch(server, silence_s=0.2)


@pytest.mark.parametrize("head", [True, False])
def test_a_byte_now_and_then_is_not_enough(server: UpdateServer, head: bool) -> None:
    """Neither in the body nor within the status line and headers."""
    server.behave(FILE, Drip(pause_s=0.02, head=head))
    begun = time.monotonic()
    with pytest.raises(SlowRetrievalError, match="longer than"):
        fetch(server, silence_s=5.0, total_s=0.4)
    assert time.monotonic() - begun < 5.0, "silence alone would not have ended it"


@pytest.mark.parametrize("after_bytes", [0, 1, len(DATA) - 1])
def test_a_connection_that_is_cut_is_never_a_whole_file(
    server: UpdateServer, after_bytes: int
) -> None:
    server.behave(FILE, Cut(after_bytes))
    with pytest.raises(DownloadError):
        fetch(server)


def test_more_than_is_ever_read_is_not_read(server: UpdateServer) -> None:
    server.behave(FILE, Longer(50_000_000))
    with pytest.raises(DownloadLengthMismatchError):
        fetch(server)


def test_a_file_without_a_length_could_have_been_cut(server: UpdateServer) -> None:
    server.behave(FILE, Longer(0, length=False))
    with pytest.raises(DownloadError, match="how long"):
        fetch(server)


def test_what_is_fetched_is_not_judged_here(server: UpdateServer) -> None:
    server.behave(FILE, Corrupt(at=5))
    assert fetch(server) != DATA


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "nowhere"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(DownloadError):
        Fetcher("secret", Patience(), max_bytes=MAX_BYTES).fetch(url)


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with UpdateServer(tmp_path, "secret") as server:
        url = server.url
    with pytest.raises(DownloadError):
        Fetcher("secret", Patience(silence_s=1.0), max_bytes=MAX_BYTES).fetch(url + FILE)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM of a key and of a certificate for 127.0.0.1 that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake cloud")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + signed.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def tls_server(server: UpdateServer, certificate: Path) -> Iterator[UpdateServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with UpdateServer(server.root, "secret", context) as tls_server:
        yield tls_server


def test_a_server_that_nobody_vouches_for_is_not_told_the_token(tls_server: UpdateServer) -> None:
    with pytest.raises(DownloadError, match=r"(?i)certificate.verify.failed"):
        fetch(tls_server)
    assert tls_server.requests == []


def test_what_drips_through_tls_is_ended_too(
    tls_server: UpdateServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(tls_server) == DATA
    tls_server.behave(FILE, Drip(pause_s=0.02))
    with pytest.raises(SlowRetrievalError):
        fetch(tls_server, total_s=0.4)
