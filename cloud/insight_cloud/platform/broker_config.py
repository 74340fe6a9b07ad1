# SPDX-License-Identifier: Apache-2.0
"""What the embedded broker is configured with: text for mosquitto and for iotcore (rumqttd).

Pure. The figures are the ones that lost messages where they were left at their
defaults; each says what it prevents.
"""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from insight_edge.documents.codec import MAX_WIRE_BYTES
from insight_edge.documents.topics import DOWN, PREFIX, UP

CLOUD: Final = "cloud"
"""User name of the cloud's own programs; no device has it, theirs have a slash or are `DEVICE`."""

DEVICE: Final = "device"
"""User name that all devices share where the broker knows no more than a fixed list."""

MAX_PACKET_BYTES: Final = MAX_WIRE_BYTES + 128 * 1024
"""Longer than any program of ours sends, so that a broker cuts off strangers alone."""

IN_FLIGHT: Final = 400
"""At least two batches of an ingester, or it waits for messages that are not sent."""

QUEUED: Final = 100_000
"""mosquitto keeps 1,000 for a client that is away unless told; the rest is lost without a word."""

AUTOSAVE_S: Final = 5
"""mosquitto keeps half an hour of retained messages and sessions in memory unless told."""


class Tls(NamedTuple):
    """A server certificate and its key, PEM files."""

    certificate: Path
    key: Path


def iotcore_toml(host: str, port: int, users: Mapping[str, str]) -> str:
    """Return the configuration of rumqttd: MQTT 5 alone, and only for these users.

    Without dynamic filters it hangs up on whoever publishes what nobody has subscribed to yet.
    A segment is memory of each filter with traffic, ten of them at most.
    """
    logins = "\n".join(f"{json.dumps(name)} = {json.dumps(word)}" for name, word in users.items())
    return f"""\
id = 0
[router]
id = 0
max_connections = 20010
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 10000
max_payload_size = {MAX_PACKET_BYTES}
max_inflight_count = 200
dynamic_filters = true
[v5.1.connections.auth]
{logins}
"""


def mosquitto_conf(state: Path, host: str, port: int, user: str, tls: Tls | None) -> str:
    """Return the configuration of mosquitto.

    Args:
        state: folder of its password file, access list and database.
        host: to listen at.
        port: to listen at.
        user: of the operating system, that it stays; root would become another one.
        tls: None without.
    """
    lines = [
        f"listener {port} {host}",
        "allow_anonymous false",
        f"password_file {state / 'passwords'}",
        f"acl_file {state / 'acl'}",
        "persistence true",
        f"persistence_location {state}/",
        f"autosave_interval {AUTOSAVE_S}",
        f"max_queued_messages {QUEUED}",
        f"max_inflight_messages {IN_FLIGHT}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "set_tcp_nodelay true",
        f"user {user}",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "connection_messages false",
    ]
    if tls is not None:
        lines += [f"certfile {tls.certificate}", f"keyfile {tls.key}", "tls_version tlsv1.2"]
    return "\n".join(lines) + "\n"


def mosquitto_acl() -> str:
    """Return who may say and hear what: the cloud everybody's, a device its own (rule T1)."""
    every, own = f"{PREFIX}/+/+", f"{PREFIX}/%u"
    return "\n".join(
        [
            f"user {CLOUD}",
            *(f"topic read {every}/{kind.value}" for kind in sorted(UP)),
            *(f"topic write {every}/{kind.value}" for kind in sorted(DOWN)),
            *(f"pattern write {own}/{kind.value}" for kind in sorted(UP)),
            *(f"pattern read {own}/{kind.value}" for kind in sorted(DOWN)),
            "",
        ]
    )


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, whatever the network says."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
