# SPDX-License-Identifier: Apache-2.0
"""Call the ordinary program `insight-cloud train` as a child, once for a run.

The version that it registers names the run, so a call that is repeated after a crash
finds the version of the first.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from insight_cloud.platform.child_process import Finished, run_child
from insight_cloud.platform.errors import TrainingError
from insight_cloud.platform.settings import PREFIX, Settings
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry
from insight_cloud.training.config import TrainConfig
from insight_cloud.training.run import ADDED_ROWS, CONFIGURATION, version_of_run
from insight_edge.bundle.durable import replace_file
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.errors import StorageError

TIMEOUT_S: Final = 4 * 3600.0


class TrainingChild:
    """Trains versions of one installation, each time in a new child."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry

    def __call__(
        self,
        base: ModelVersion,
        *,
        run: str,
        added: bytes,
        holdout: float,
        pulse: Callable[[], None],
    ) -> ModelVersion:
        """Return the version that a run asked for, trained as another was, with rows added.

        Args:
            base: the version whose configuration is used again.
            run: id of the run.
            added: .npz of labelled rows.
            holdout: about which share of them is kept for evaluation.
            pulse: called while the child trains; may raise to stop it.

        Raises:
            NotFoundError: the version does not say how it was trained.
            TrainingError: the child failed.
            StorageError: the disk cannot be written.
            BaseException: whatever `pulse` raises; the child was stopped.
        """
        found = version_of_run(self._registry, base.model, run)
        if found is not None:
            return found
        folder = self._settings.state.absolute() / "pipelines" / run
        _write(folder, _configuration(self._registry, base, run, added, holdout), added)
        done = run_child(
            [Path(sys.executable).with_name("insight-cloud"), "train", folder / CONFIGURATION],
            cwd=folder,
            timeout_s=TIMEOUT_S,
            environment=_environment(self._settings),
            pulse=pulse,
        )
        found = version_of_run(self._registry, base.model, run)
        if found is None:
            raise TrainingError(_why_none(done))
        shutil.rmtree(folder, ignore_errors=True)
        return found


def _why_none(done: Finished) -> str:
    said = [line.removeprefix("error: ") for line in done.log if line.startswith("error: ")]
    last = said[-1] if said else (done.log[-1] if done.log else "it said nothing")
    how = "took too long" if done.over_time else f"exited with {done.code}"
    return f"the training {how}: {last}"


def _configuration(
    registry: Registry, base: ModelVersion, run: str, added: bytes, holdout: float
) -> bytes:
    """Return the configuration of the base; the keys of its task pass through as `unknown`."""
    config = decode_json(TrainConfig, registry.artifact(base, CONFIGURATION))
    data = replace(config.data, add=ADDED_ROWS, add_digest=digest(added), holdout=holdout)
    return encode_json(replace(config, run=run, data=data))


def _write(folder: Path, configuration: bytes, added: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error
    replace_file(folder / ADDED_ROWS, added)
    replace_file(folder / CONFIGURATION, configuration)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which the child opens the same installation."""
    places = {
        "STATE": settings.state,
        "DATABASE": settings.database_path,
        "BLOBS": settings.blobs_path,
        "KEYS": settings.keys_path,
    }
    return {PREFIX + name: str(path.absolute()) for name, path in places.items()}
