# SPDX-License-Identifier: Apache-2.0
"""A transformer encoder for text: of which package a passage of documentation is."""

from pathlib import Path

from torch.nn.functional import cross_entropy

from zoo.member import Card
from zoo.training import Schedule, answers, trained
from zoo.words import LENGTH, passages
from zoo.writing import compiled_with, write_card, write_description, write_onnx, write_rows

TRAINING_ROWS, VERIFICATION_ROWS = 6000, 800
SCHEDULE = Schedule(steps=150, batch=16, rate=1e-3)


def make_encoder(place: Path, effort: float) -> Card:
    """Write a network that says of which package a passage is."""
    data = passages(TRAINING_ROWS, VERIFICATION_ROWS)
    net = trained("encoder", data.training, SCHEDULE.shortened(effort), cross_entropy)
    calibration, verification = compiled_with(data)
    path = write_onnx(net, verification.inputs["tokens"], place, name="tokens")
    write_rows(place, calibration, verification)
    write_description(path, name="encoder", task="text-classification", classes=data.classes)
    said = answers(net, verification.inputs["tokens"]).argmax(axis=1)
    return write_card(
        place,
        Card(
            name="encoder",
            family="transformer text encoder",
            file=path.name,
            task=f"of which of {len(data.classes)} packages {LENGTH} words of documentation are",
            data="docstrings of aeon 1.6.0, river 0.26.1, scikit-image 0.26.0 and statsmodels "
            "0.15.0 without the packages' names; a file is trained on or proven on",
            licence="BSD-3-Clause",
            metric="accuracy",
            value=float((said == verification.labels).mean()),
            labelled=True,
            rows={
                "training": len(data.training),
                "calibration": len(calibration),
                "verification": len(verification),
            },
        ),
    )
