# SPDX-License-Identifier: Apache-2.0
"""Which addresses a device may send secrets to: over TLS, or to this very machine. Pure."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from insight_edge.errors import ConfigurationError


def refuse_open_address(address: str) -> None:
    """Refuse to send secrets over a network in the clear.

    Raises:
        ConfigurationError: the address is not https, and not http to this very machine.
    """
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname):
        return
    raise ConfigurationError(
        f"'{address[:100]}' is not an https address",
        hint="http is for loopback alone: a secret and the root of trust travel here",
    )


def is_loopback(host: str) -> bool:
    """Return whether a host is this very machine, whatever the network says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
