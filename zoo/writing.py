# SPDX-License-Identifier: Apache-2.0
"""Write a member: the file that is compiled, its description, its rows and its card."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.importing import OPSET
from insight_edge.compile.sources.source import description_path
from insight_edge.documents.codec import encode_json
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from zoo.member import CALIBRATION, CARD, WEIGHTS, Array, Card, Data, Rows

if TYPE_CHECKING:
    import torch

CALIBRATION_ROWS = 300
VERIFICATION_ROWS = 800
MAX_BATCH = 64


def write_onnx(net: "torch.nn.Module", example: Array, place: Path, *, name: str) -> Path:
    """Write a network as ONNX with a free batch, its weights beside it, and return the path."""
    import torch

    path = place / "model.onnx"
    _hush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.from_numpy(example[:2]),),  # of batch 1 the exporter would make a constant
            path,
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[name],
            output_names=["y"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},),
            verbose=False,
        )
    torch.save(net.state_dict(), place / WEIGHTS)
    return path


def write_program(net: "torch.nn.Module", example: Array, place: Path) -> Path:
    """Write a network as `torch.export` saves it, with a free batch, and return the path."""
    import torch

    path = place / "model.pt2"
    batch = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            net, (torch.from_numpy(example[:2]),), dynamic_shapes=(batch,)
        )
        torch.export.save(program, path)
    torch.save(net.state_dict(), place / WEIGHTS)
    return path


def write_estimator(estimator: Any, place: Path) -> Path:
    """Write an estimator of scikit-learn and return the path."""
    import joblib

    path = place / "model.joblib"
    joblib.dump(estimator, path)
    return path


def write_rows(place: Path, calibration: Rows, verification: Rows) -> None:
    """Write the rows as `--calibration` takes them."""
    proven = np.arange(len(calibration) + len(verification)) >= len(calibration)
    columns: dict[str, Array] = {
        name: np.concatenate([rows, verification.inputs[name]])
        for name, rows in calibration.inputs.items()
    }
    if verification.labels is not None and calibration.labels is not None:
        columns["labels"] = np.concatenate([calibration.labels, verification.labels])
    np.savez(place / CALIBRATION, allow_pickle=False, verification=proven, **columns)


def write_description(path: Path, *, name: str, task: str, classes: tuple[str, ...] = ()) -> None:
    """Write the description beside a model; it is read once for that, as a compilation does."""
    source = read_source(path, trust_pickle=True)
    description = SourceDescription(
        model=ModelInfo(name=name, digest=source.digest, task=task, classes=classes),
        inputs=source.workload.inputs,
        outputs=source.workload.outputs,
    )
    description_path(path).write_bytes(encode_json(description))


def write_card(place: Path, card: Card) -> Card:
    """Write the card and return it."""
    (place / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2))
    return card


def read_card(place: Path) -> Card:
    """Return the card in a member's folder."""
    return msgspec.json.decode((place / CARD).read_bytes(), type=Card)


def compiled_with(data: Data) -> tuple[Rows, Rows]:
    """Return the rows that calibrate and those that are proven on."""
    return data.training.some(CALIBRATION_ROWS), data.verification.some(VERIFICATION_ROWS)


def _hush() -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
