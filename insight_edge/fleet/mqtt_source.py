# SPDX-License-Identifier: Apache-2.0
"""Source `mqtt`: the messages of a topic, `mqtt:HOST[:PORT]/FILTER?user=U&password-file=P&ca=PEM`.

A payload is the file that the bundle takes, or else JSON or an .npz of its inputs. It is read no
further than the line has room, so what `block` makes wait waits at the broker; what the broker
forgets, and what comes while the connection is down, is not known here and not counted.
"""

from collections.abc import Generator
from pathlib import Path

from insight_edge.documents.enrolment import Broker
from insight_edge.errors import ConfigurationError
from insight_edge.fleet.link.broker_trust import tls_of
from insight_edge.fleet.link.connection import Subscription
from insight_edge.streaming.seam import Asked, Item, Rest

PORT, TLS_PORT = 1883, 8883
LOOK_S = 0.2


class MqttSource:
    """Messages of one topic filter.

    Raises:
        ConfigurationError: the place or an option cannot be meant, or the broker is on another
            machine and there is no CA to know it by.
    """

    def __init__(self, asked: Asked) -> None:
        where, _, self._topic = asked.place.partition("/")
        user, secret, ca = (asked.text(name) for name in ("user", "password-file", "ca"))
        asked.refuse_others()
        host, _, port = where.partition(":")
        if not (host and self._topic) or (port and not port.isdigit()):
            raise ConfigurationError(f"mqtt:{asked.place}", hint="mqtt:HOST:PORT/TOPIC")
        self._broker = Broker(
            host=host,
            port=int(port or (TLS_PORT if ca else PORT)),
            username=user or None,
            password=_text(secret).strip() if secret else None,
            ca=_text(ca) if ca else None,
        )
        tls_of(self._broker)

    def items(self, rest: Rest) -> Generator[Item | None, None, None]:
        """Yield messages for ever, named by their topics."""
        del rest
        subscription = Subscription(self._broker, self._topic)
        try:
            while True:
                found = subscription.next(LOOK_S)
                yield None if found is None else Item(*found)
        finally:
            subscription.close()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
