# SPDX-License-Identifier: Apache-2.0
"""What a `train.toml` says, for every task; a task derives its own and adds sections.

Reading is strict: a person wrote the file, so an unknown key is a mistake.
"""

import json
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from insight_edge.documents.codec import Document, from_plain, refuse_unknown
from insight_edge.errors import ConfigurationError

Positive = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]


class DataSection(Document, frozen=True, kw_only=True):
    """What to train on.

    Attributes:
        set: name of a data set.
        limit: only the first rows of its `train` split; None is all of them.
        add: .npz of labelled rows to train on after those, beside the file that says so.
        add_digest: of that file; None takes whatever it is.
        holdout: about which share of the added rows is kept for evaluation.
    """

    set: str
    limit: Positive | None = None
    add: str | None = None
    add_digest: str | None = None
    holdout: Annotated[float, Meta(ge=0, lt=1)] = 0.3


class FittingSection(Document, frozen=True, kw_only=True):
    """How to fit the parameters.

    Attributes:
        batch: rows a step.
        learning_rate: the highest of its schedule.
        seed: of the initial parameters, the order of rows and the augmentation.
    """

    epochs: Positive = 12
    batch: Positive = 64
    learning_rate: PositiveFloat = 0.003
    weight_decay: NonNegative = 0.01
    seed: int = 0


class ResourcesSection(Document, frozen=True, kw_only=True):
    """What to train with; equal results need equal threads.

    Attributes:
        executor: `local` trains in this process.
    """

    executor: Literal["local"] = "local"
    threads: Positive = 2


class TrainConfig(Document, frozen=True, kw_only=True):
    """One training.

    Attributes:
        task: entry point of a task.
        name: of the model in the registry.
        run: id of the pipeline's run that asked for it; a run asks for one version.
    """

    task: str
    name: str
    run: str | None = None
    data: DataSection
    fitting: FittingSection = FittingSection()
    resources: ResourcesSection = ResourcesSection()


C = TypeVar("C", bound=TrainConfig)


def read_plain(data: bytes, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Return the keys of a `train.toml` with `section.key=value` settings laid over them.

    The `train.json` that a version keeps is read as well. The value of a setting is TOML;
    what is not TOML is taken as a string.

    Raises:
        ConfigurationError: it is neither, or a setting is not `key=value`.
    """
    plain = _json(data) if data.lstrip().startswith(b"{") else _toml(data)
    for override in overrides:
        plain = _merged(plain, _setting(override))
    return plain


def config_from_plain(kind: type[C], plain: dict[str, Any]) -> C:
    """Return the configuration of a task from the keys of its file.

    Raises:
        DocumentError: a key is unknown (with the nearest name), missing, or has a wrong value.
    """
    config = from_plain(kind, plain)
    refuse_unknown(config)
    return config


def _toml(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"not TOML: {error}") from error


def _json(data: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"not JSON: {error}") from error
    return found


def _setting(override: str) -> dict[str, Any]:
    key, equals, value = override.partition("=")
    for written in (value, json.dumps(value)) if equals else ():
        try:
            return tomllib.loads(f"{key} = {written}")
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigurationError(
        f"'{override}' sets nothing" if equals else f"'{override}' has no '='",
        hint="write it as --set fitting.epochs=3",
    )


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        held = both.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            both[key] = _merged(held, value)
        else:
            both[key] = value
    return both
