# SPDX-License-Identifier: Apache-2.0
"""Find the source that somebody asks for as `TOKEN:PLACE?options`."""

from urllib.parse import parse_qsl

from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, InsightEdgeError, MissingError
from insight_edge.runtime.installed import plugins
from insight_edge.streaming.seam import Asked, Source

GROUP = "insight_edge.sources"


def source_of(words: str, inputs: tuple[TensorSpec, ...]) -> Source:
    """Return a source.

    Args:
        words: `TOKEN:PLACE`, perhaps with `?name=value&name=value`.
        inputs: of the bundle that its rows are for.

    Raises:
        ConfigurationError: there is no such source, or it cannot be had so.
        MissingError: something is not installed.
    """
    token, colon, rest = words.partition(":")
    known = {plugin.name: plugin for plugin in plugins(GROUP)}
    if token not in known or not colon:
        raise ConfigurationError(
            f"there is no source '{token}'", hint=f"TOKEN:PLACE, one of {', '.join(sorted(known))}"
        )
    place, mark, query = rest.rpartition("?")
    asked = Asked(place if mark else rest, dict(parse_qsl(query)) if mark else {}, inputs)
    try:
        found: Source = known[token].load()(asked)
    except InsightEdgeError:
        raise
    except Exception as error:
        raise MissingError(f"source '{token}' cannot be loaded: {error}") from error
    return found
