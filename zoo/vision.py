# SPDX-License-Identifier: Apache-2.0
"""Networks for images: MobileNetV2 and ResNet-18 classify crops, a U-Net segments mosaics."""

from functools import partial
from pathlib import Path

from torch.nn.functional import cross_entropy

from zoo.crops import mosaics, photographs
from zoo.member import Card
from zoo.training import Schedule, answers, mirrored, trained
from zoo.writing import compiled_with, write_card, write_description, write_onnx, write_rows

SIZE = 64
TRAINING_ROWS = 4000
VERIFICATION_ROWS = 800
MOSAICS = (800, 400)

LICENCE = "photographs of scikit-image: public domain or CC0, motorcycle from Middlebury 2014"

SCHEDULES = {
    "mobilenet": Schedule(steps=150, batch=16, rate=2e-3),
    "resnet18": Schedule(steps=150, batch=16, rate=1e-3),
    "unet": Schedule(steps=120, batch=8, rate=2e-3),
}


def make_classifier(name: str, family: str, place: Path, effort: float) -> Card:
    """Write a network that says which photograph a crop is of."""
    data = photographs(SIZE, TRAINING_ROWS, VERIFICATION_ROWS)
    net = trained(name, data.training, SCHEDULES[name].shortened(effort), cross_entropy, mirrored)
    calibration, verification = compiled_with(data)
    path = write_onnx(net, verification.inputs["x"], place, name="x")
    write_rows(place, calibration, verification)
    write_description(path, name=name, task="image-classification", classes=data.classes)
    said = answers(net, verification.inputs["x"]).argmax(axis=1)
    return write_card(
        place,
        Card(
            name=name,
            family=family,
            file=path.name,
            task=f"which of {len(data.classes)} photographs a crop of {SIZE} x {SIZE} is of",
            data="scikit-image 0.26.0: skimage/data, crops at the pixels' own size; trained on "
            "the left 60 % of each photograph, proven on the right 40 %",
            licence=LICENCE,
            metric="accuracy",
            value=float((said == verification.labels).mean()),
            labelled=True,
            rows={
                "training": len(data.training),
                "calibration": len(calibration),
                "verification": len(verification),
            },
            note="crops of one photograph overlap",
        ),
    )


make_mobilenet = partial(make_classifier, "mobilenet", "depthwise CNN (MobileNetV2)")
make_resnet18 = partial(make_classifier, "resnet18", "residual CNN (ResNet-18)")


def make_unet(place: Path, effort: float) -> Card:
    """Write a network that says of every pixel which texture it is of."""
    data = mosaics(SIZE, *MOSAICS)
    net = trained("unet", data.training, SCHEDULES["unet"].shortened(effort), cross_entropy)
    calibration, verification = compiled_with(data)
    path = write_onnx(net, verification.inputs["x"], place, name="x")
    write_rows(place, calibration, verification)
    write_description(path, name="unet", task="segmentation", classes=data.classes)
    said = answers(net, verification.inputs["x"]).argmax(axis=1)
    return write_card(
        place,
        Card(
            name="unet",
            family="segmentation (U-Net)",
            file=path.name,
            task=f"which of {len(data.classes)} textures each pixel of a mosaic is of",
            data="scikit-image 0.26.0: brick, grass and gravel of skimage/data, put together as "
            "mosaics; trained on the left 60 % of each, proven on the right 40 %",
            licence="CC0",
            metric="share of pixels",
            value=float((said == verification.labels).mean()),
            labelled=True,
            rows={
                "training": len(data.training),
                "calibration": len(calibration),
                "verification": len(verification),
            },
        ),
    )
