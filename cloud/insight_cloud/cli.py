# SPDX-License-Identifier: Apache-2.0
"""The program `insight-cloud`, and the composition root of the cloud.

Settings are read here and nowhere else. Data goes to stdout, progress and
errors to stderr; a user's mistake is one line, a hint and the exit code of its
error class.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import ensure_current, upgrade
from insight_cloud.platform.settings import SETTINGS_FILE, Settings, load_settings
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.training.config import config_from_plain, read_plain
from insight_cloud.training.export import export_version
from insight_cloud.training.run import run_training
from insight_cloud.training.task import Progress, load_task
from insight_edge import __version__
from insight_edge.errors import ConfigurationError, InsightEdgeError

USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130

err = Console(stderr=True, highlight=False)
app = App(
    name="insight-cloud",
    help="Train models, keep them, and look after the fleet.",
    version=__version__,
    suppress_keyboard_interrupt=False,
)


@app.command
def train(
    train_toml: Path,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=(), show_default=False)] = (),
    state: Path | None = None,
    export: Path | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 - the flag is --format
) -> None:
    """Train a model and record it as the next version in the registry.

    Args:
        train_toml: what to train.
        set_: a key of it with another value, e.g. `fitting.epochs=3`; repeatable.
        state: folder of this installation.
        export: folder to write the version's files to, for `insight-edge compile`.
        format: how to print what was recorded.
    """
    plain = read_plain(_read(train_toml), set_)
    task = load_task(str(plain.get("task", "")))
    config = config_from_plain(task.config, plain)
    settings = _settings(state)
    with _database(settings) as database:
        ensure_current(database)
        registry = Registry(database, open_blobs(settings.blobs_path))
        with _bar(config.name) as progress:
            version = run_training(
                config, task, registry, clock=lambda: datetime.now(UTC), progress=progress
            )
        if export is not None:
            export_version(registry, version, export)
    _print(version, format)


@app.command
def demo(train_toml: Path, *, directory: Path = Path(".demo")) -> None:
    """Tell the whole story on this machine: train, compile, prove, run, swap under load.

    Exits 1 when a promise was not kept.

    Args:
        train_toml: what to train; examples/train.toml has the digits.
        directory: emptied first; keeps everything that was made.
    """
    from insight_cloud.demo.story import tell_story

    tell_story(directory, train_toml)


@app.command
def migrate(*, state: Path | None = None) -> None:
    """Bring the database to the schema of this release.

    Args:
        state: folder of this installation.
    """
    with _database(_settings(state)) as database:
        err.print(f"the database is at revision {upgrade(database)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with the code of the design (0 to 4)."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one call; every expected error is a line on stderr."""
    try:
        app(arguments, print_error=False, exit_on_error=False, result_action="return_value")
    except InsightEdgeError as error:
        _complain(str(error), error.hint)
        return error.exit_code
    except CycloptsError as error:
        _complain(str(error), "see --help")
        return USAGE_EXIT_CODE
    except KeyboardInterrupt:
        _complain("interrupted", None)
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        return 0
    return 0


def _settings(state: Path | None) -> Settings:
    return load_settings(Path(SETTINGS_FILE), os.environ, {"state": state})


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database_path)
    try:
        yield database
    finally:
        database.close()


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


def _print(version: ModelVersion, output: str) -> None:
    if output == "json":
        data = msgspec.json.format(msgspec.json.encode(version), indent=2)
        sys.stdout.write(data.decode() + "\n")
        return
    table = Table(title=f"{version.label}, {version.task}", title_justify="left")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    for name, value in version.metrics.items():
        table.add_row(name, f"{value:.4f}")
    for artifact in version.artifacts:
        table.add_row(artifact.name, f"{artifact.length_bytes} bytes, {artifact.digest}")
    width = None if sys.stdout.isatty() else 160
    Console(highlight=False, width=width).print(table)


def _complain(message: str, hint: str | None) -> None:
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    if hint:
        err.print(f"[dim]hint:[/] {escape(hint)}", soft_wrap=True)
