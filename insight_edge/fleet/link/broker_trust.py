# SPDX-License-Identifier: Apache-2.0
"""How a device knows its broker: by the CA that enrolment named, or because it is this machine."""

import ssl
from typing import Any

from insight_edge.documents.enrolment import Broker
from insight_edge.errors import ConfigurationError
from insight_edge.fleet.transfer.addresses import is_loopback


class Tls(ssl.SSLContext):
    """A context that closes what it has wrapped last, even where the handshake failed half-way."""

    _last: ssl.SSLSocket | None = None

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Wrap a socket."""
        self._last = super().wrap_socket(*arguments, **options)
        return self._last

    def close(self) -> None:
        """Close what was wrapped last."""
        if self._last is not None:
            self._last.close()


def tls_of(broker: Broker) -> Tls | None:
    """Return what to connect with: a context that trusts the broker's CA alone, or no TLS.

    Raises:
        ConfigurationError: the broker is on another machine and there is no CA to know it by,
            or what is there is none.
    """
    if broker.ca is None:
        if not is_loopback(broker.host):
            raise ConfigurationError(
                f"the broker {broker.host} is not on this machine and no CA says who it is",
                hint="enrol the device at a cloud whose broker speaks TLS",
            )
        return None
    context = Tls(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=broker.ca)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"the broker's CA cannot be read: {error}") from error
    return context
