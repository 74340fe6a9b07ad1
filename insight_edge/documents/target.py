# SPDX-License-Identifier: Apache-2.0
"""A target: the backend, precision and options that one build is made with."""

from typing import Any, Literal, get_args

from insight_edge.documents.codec import Document
from insight_edge.errors import ConfigurationError

Precision = Literal["fp32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""From the highest to the lowest; `rank` orders by it."""


class Target(Document, frozen=True, kw_only=True):
    """Backend + precision + options; written `openvino:int8+weights` in flags and tables.

    Attributes:
        backend: the token of a backend and of the engine that runs what it builds.
        precision: of the weights and activations where the backend has a choice.
        options: the backend's own, plain values; one that is `True` is part of the name.
    """

    backend: str
    precision: Precision
    options: dict[str, Any] = {}

    @property
    def token(self) -> str:
        """`backend:precision`, and `+option` for each option that is `True`."""
        names = (f"+{name}" for name, value in self.options.items() if value is True)
        return f"{self.backend}:{self.precision}{''.join(names)}"

    @property
    def rank(self) -> int:
        """0 for the highest precision; where measurements overlap the lower rank wins."""
        return PRECISIONS.index(self.precision)


def target_from_token(token: str) -> Target:
    """Return the target that a flag such as `openvino:int8` names.

    Raises:
        ConfigurationError: no colon, a precision that does not exist, or an option without a name.
    """
    backend, _, rest = token.partition(":")
    precision, *options = rest.split("+")
    if not backend or precision not in PRECISIONS or not all(map(str.isidentifier, options)):
        raise ConfigurationError(
            f"'{token}' is not a target",
            hint=f"write backend:precision, with a precision of {', '.join(PRECISIONS)}",
        )
    return Target(backend=backend, precision=precision, options=dict.fromkeys(options, True))
