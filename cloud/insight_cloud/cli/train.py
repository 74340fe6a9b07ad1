# SPDX-License-Identifier: Apache-2.0
"""Verb `train`: from a `train.toml` to the next version in the registry."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec.structs import replace
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from insight_cloud.cli.opening import opened, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.platform.clock import now
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.training.config import config_from_plain, read_plain
from insight_cloud.training.export import export_version
from insight_cloud.training.run import run_training
from insight_cloud.training.task import Progress, load_task
from insight_edge.errors import ConfigurationError


def train(
    train_toml: Path,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=(), show_default=False)] = (),
    add: Path | None = None,
    state: Path | None = None,
    export: Path | None = None,
    format: Format = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Train a model and record it as the next version in the registry.

    Args:
        train_toml: what to train; the `train.json` of a version trains it again.
        set_: a key of it with another value, e.g. `fitting.epochs=3`; repeatable.
        add: .npz of labelled rows to train on as well, instead of `data.add`.
        state: folder of this installation.
        export: folder to write the version's files to, for `insight-edge compile`.
        format: how to print what was recorded.
    """
    plain = read_plain(_read(train_toml), set_)
    task = load_task(str(plain.get("task", "")))
    config = config_from_plain(task.config, plain)
    if add is not None:
        config = replace(config, data=replace(config.data, add=str(add.absolute())))
    added = config.data.add and _read(train_toml.parent / config.data.add)
    with opened(state) as cloud:
        with _bar(config.name) as progress:
            version = run_training(
                config,
                task,
                cloud.registry,
                clock=now,
                progress=progress,
                added=added or None,
                by=whoever(),
            )
        if export is not None:
            export_version(cloud.registry, version, export)
    if format == "json":
        print_json(version)
    else:
        print_table(_table(version))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {(error.strerror or str(error)).lower()}") from error


@contextmanager
def _bar(name: str) -> Iterator[Callable[[Progress], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=err) as bar:
        line = bar.add_task(f"training {name}", total=None)

        def show(progress: Progress) -> None:
            text = f"epoch {progress.epoch} of {progress.epochs}, loss {progress.loss:.4f}"
            bar.update(line, completed=progress.epoch, total=progress.epochs, description=text)

        yield show


def _table(version: ModelVersion) -> Table:
    table = Table(title=f"{version.label}, {version.task}", title_justify="left")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    for name, value in version.metrics.items():
        table.add_row(name, f"{value:.4f}")
    for artifact in version.artifacts:
        table.add_row(artifact.name, f"{artifact.length_bytes} bytes, {artifact.digest}")
    return table
