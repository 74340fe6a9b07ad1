# SPDX-License-Identifier: Apache-2.0
"""Source models that take no rows, made to take whole calls as rows and compared with themselves.

A child process does it, as it reads strangers' files: the original is run there. Models
that take rows stay as they are, to the byte.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from insight_edge.bundle.durable import storing
from insight_edge.compile.graph.rowwise import rowless
from insight_edge.compile.rows.random_rows import random_rows
from insight_edge.compile.sources.conversion import MODEL, WORKLOAD
from insight_edge.compile.sources.importing import ImportLimits, examine_apart
from insight_edge.compile.sources.source import SourceModel
from insight_edge.documents.workload import Workload
from insight_edge.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

MAKER = f"{__name__}:make"

HINT = "export the model with the batch as the first dimension of every input and output"


def by_rows(source: SourceModel, limits: ImportLimits | None = None) -> SourceModel:
    """Return a source model that takes rows: itself, or one of which a row is a whole call.

    The latter has neither description nor original, which are of the model as it was.

    Args:
        source: as it was imported.
        limits: of the child that makes the other model.

    Raises:
        ModelError: an input takes nothing at all, or the model runs on no random call.
        StorageError: the disk is full or cannot be written.
    """
    why = rowless(source.workload)
    if why is None:
        return source
    with TemporaryDirectory(prefix="insight-edge-calls-") as folder:
        place = Path(folder) / MODEL
        with storing(place):
            place.write_bytes(source.data)
        made = examine_apart(place, examiner=MAKER, importer=source.importer, limits=limits)
    workload = msgspec.structs.replace(made.workload, called=why)
    return replace(made, name=source.name, workload=workload)


def make(path: Path, directory: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (no code)
    """Write the model that takes a call of the one in a file as a row, and its workload.

    Runs in a child process.

    Raises:
        ModelError: it runs on no random call, or answers otherwise than the one in the file.
    """
    # The onnx package is not there where models are only planned for.
    from insight_edge.compile.graph.calls import called
    from insight_edge.compile.graph.check import check_model, parse_model, refuse_size
    from insight_edge.compile.graph.workload import workload_from_onnx
    from insight_edge.documents.codec import digest, encode_json

    model = parse_model(path.read_bytes())
    made = called(model)
    check_model(made)
    data = made.SerializeToString(deterministic=True)
    refuse_size(len(data))
    workload = workload_from_onnx(made, digest(data))
    refuse_other_answers(model, data, workload)
    (directory / MODEL).write_bytes(data)
    (directory / WORKLOAD).write_bytes(encode_json(workload))


def refuse_other_answers(model: "ModelProto", data: bytes, workload: Workload) -> None:
    """Raise unless a call that is a row is answered as the call itself, on random numbers.

    Args:
        model: as it was imported.
        data: the ONNX file's bytes of the one made of it.
        workload: of the latter.

    Raises:
        ModelError: an answer differs, or the model runs on no random call.
    """
    from insight_edge.compile.graph.parity import refuse_disagreement
    from insight_edge.compile.graph.reference import answers

    original, why = model.SerializeToString(deterministic=True), ""
    for rows in random_rows(workload.inputs, 1):
        try:
            given = answers(original, {name: np.asarray(array[0]) for name, array in rows.items()})
        except Exception as error:  # noqa: BLE001 (an engine has an exception for each of its states)
            why = why or str(error).strip().splitlines()[0]
            continue
        expected = [answer[None] for answer in given.values()]
        refuse_disagreement(data, rows, expected, framework="the original, call by call,")
        return
    raise ModelError(f"asked call by call, it does not run on random numbers: {why}", hint=HINT)
