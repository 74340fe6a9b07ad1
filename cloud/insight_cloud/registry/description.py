# SPDX-License-Identifier: Apache-2.0
"""The description of a version, which is written before the version has a number."""

from msgspec.structs import replace

from insight_cloud.registry.rules import ModelVersion
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.source import SourceDescription


def numbered(data: bytes, version: ModelVersion) -> bytes:
    """Return the bytes of a `model.json` with the name and number of its version.

    Raises:
        DocumentError: it is none.
    """
    description = decode_json(SourceDescription, data)
    model = replace(description.model, name=version.model, version=version.number)
    return encode_json(replace(description, model=model))
