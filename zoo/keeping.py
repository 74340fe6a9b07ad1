# SPDX-License-Identifier: Apache-2.0
"""Every member of the zoo by name, and making one."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from insight_edge.errors import ConfigurationError
from zoo import classical, forecasters, strangers, text, vision
from zoo.member import CARD, Card, Member

MEMBERS: Mapping[str, Member] = {
    member.name: member
    for member in (
        Member(name="mobilenet", make=vision.make_mobilenet, network=True),
        Member(name="resnet18", make=vision.make_resnet18, network=True),
        Member(name="unet", make=vision.make_unet, network=True),
        Member(name="encoder", make=text.make_encoder, network=True),
        Member(name="lstm", make=forecasters.make_lstm, network=True),
        Member(name="gru", make=forecasters.make_gru, network=True),
        Member(name="tcn", make=forecasters.make_tcn, network=True),
        Member(name="mlp", make=classical.make_mlp),
        Member(name="forest", make=classical.make_forest),
        Member(name="boosting", make=classical.make_boosting),
        Member(name="basic-pitch", make=strangers.make_basic_pitch),
        Member(name="basic-pitch-tflite", make=strangers.make_basic_pitch_tflite),
        Member(name="open-nsfw", make=strangers.make_open_nsfw),
        Member(name="wakeword", make=strangers.make_wakeword),
    )
}


def make(name: str, out: Path, *, effort: float = 1.0) -> Card:
    """Make a member in a folder of its own, anew where there is one of an earlier time.

    Args:
        name: of the member.
        out: the folder that its folder is in.
        effort: share of the usual steps of training.

    Raises:
        ConfigurationError: there is no such member, or something else lies in its place.
        ToolchainMissingError: the environment with the data is not installed.
    """
    member = MEMBERS.get(name)
    if member is None:
        raise ConfigurationError(f"the zoo has no '{name}'", hint=f"it has {', '.join(MEMBERS)}")
    place = out / name
    if place.exists() and any(place.iterdir()) and not (place / CARD).exists():
        raise ConfigurationError(f"{place} is not of the zoo", hint="name another folder")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return member.make(place, effort)
