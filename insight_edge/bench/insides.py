# SPDX-License-Identifier: Apache-2.0
"""Look inside an artifact where it runs: in a child process of the device's environment.

What an engine executes (`runtime.insides`) and what is in its tensors on some rows
is asked of the engine itself. Comparing is not done here.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from insight_edge import errors
from insight_edge.bench.insides_child import (
    ANSWER,
    MAX_TENSORS,
    MAX_TENSORS_BYTES,
    ROWS,
    TENSORS,
    Answer,
    Setup,
)
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    InsightEdgeError,
    MeasurementError,
    StorageError,
)
from insight_edge.runtime.insides import LayerFacts, Wanted

TIMEOUT_S = 300.0
LAST_WORDS_BYTES = 2000

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Insides:
    """What is inside an artifact.

    Attributes:
        layers: what is executed, in order; None where the engine cannot tell.
        tensors: by the source model's names; None where the engine cannot tell.
    """

    layers: tuple[LayerFacts, ...] | None
    tensors: Arrays | None


def look_inside(
    bundle: Path,
    variant: str,
    *,
    python: Path | None = None,
    inputs: Mapping[str, NDArray[Any]],
    wanted: Wanted | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Insides:
    """Return what is inside a variant of a bundle.

    Args:
        bundle: its directory.
        variant: its name.
        python: interpreter of the environment to look in; this one for None.
        inputs: rows as the artifact takes them.
        wanted: the tensors to return, with what the artifact may call each; its layers for None.
        timeout_s: for all of it.

    Raises:
        InsightEdgeError: the bundle or the engine was refused, as on the device.
        ConfigurationError: there is no such interpreter.
        MeasurementError: the child died or hung.
        StorageError: there is no room for the arrays.
    """
    with _asked(bundle, variant, inputs, python, timeout_s, wanted=wanted) as (folder, answer):
        if not answer.known:
            return Insides(layers=None, tensors=None)
        if wanted is None:
            return Insides(layers=answer.layers, tensors=None)
        return Insides(layers=None, tensors=_tensors(folder, answer))


def ask_outputs(
    bundle: Path,
    variant: str,
    *,
    python: Path | None = None,
    inputs: Mapping[str, NDArray[Any]],
    timeout_s: float = TIMEOUT_S,
) -> Arrays:
    """Return what a variant of a bundle answers; arguments and errors are those of `look_inside`.

    Raises:
        InsightEdgeError: as `look_inside`.
    """
    with _asked(bundle, variant, inputs, python, timeout_s, outputs=True) as (folder, answer):
        return _tensors(folder, answer)


def ask_made(
    bundle: Path,
    variant: str,
    *,
    python: Path | None = None,
    inputs: Mapping[str, NDArray[Any]],
    timeout_s: float = TIMEOUT_S,
) -> Arrays | None:
    """Return what each step of a variant makes, in order; None where its engine does not show it.

    Raises:
        InsightEdgeError: as `look_inside`.
    """
    with _asked(bundle, variant, inputs, python, timeout_s, made=True) as (folder, answer):
        return _tensors(folder, answer) if answer.known else None


@contextmanager
def _asked(
    bundle: Path,
    variant: str,
    inputs: Mapping[str, NDArray[Any]],
    python: Path | None,
    timeout_s: float,
    *,
    wanted: Wanted | None = None,
    outputs: bool = False,
    made: bool = False,
) -> Iterator[tuple[Path, Answer]]:
    """Yield what the child says, and the directory that its arrays lie in until the block ends."""
    with tempfile.TemporaryDirectory(prefix="insight-edge-insides-") as name:
        folder = Path(name)
        setup = Setup(
            bundle=str(bundle.absolute()),
            variant=variant,
            wanted=None if wanted is None else {k: tuple(v) for k, v in wanted.items()},
            outputs=outputs,
            made=made,
            folder=name,
            parent=os.getpid(),
        )
        try:
            (folder / "setup.json").write_bytes(encode_json(setup))
            (folder / ROWS).write_bytes(npz_from_arrays(inputs))
        except OSError as error:
            raise StorageError(f"{folder}: {error.strerror}") from error
        _run(python or Path(sys.executable), folder, timeout_s)
        yield folder, _read(folder)


def _run(python: Path, folder: Path, timeout_s: float) -> None:
    """Run the child to its end.

    Raises:
        ConfigurationError: it cannot be run.
        MeasurementError: it died or hung.
    """
    words = (folder / "stderr").open("w+b")
    command = [
        str(python),
        "-P",
        "-m",
        "insight_edge.bench.insides_child",
        str(folder / "setup.json"),
    ]
    with words:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                start_new_session=True, cwd=folder,
            )  # fmt: skip
        except OSError as error:
            raise ConfigurationError(
                f"{python} cannot be run: {error.strerror}", hint="name a Python interpreter"
            ) from error
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise MeasurementError(f"no answer within {timeout_s:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if code:
            words.seek(0)
            said = words.read()[-LAST_WORDS_BYTES:].decode(errors="replace").strip().splitlines()
            raise MeasurementError(
                f"the child ended, exit code {code}: {(said or ['nothing'])[-1]}"
            )


def _read(folder: Path) -> Answer:
    """Return what the child left.

    Raises:
        InsightEdgeError: of the class that the child names, where it refused.
        MeasurementError: it left nothing that can be read.
    """
    try:
        answer = decode_json(Answer, (folder / ANSWER).read_bytes())
    except (OSError, DocumentError) as error:
        raise MeasurementError(f"the child left no answer: {error}") from error
    if answer.kind:
        raise _refusal(answer)
    return answer


def _tensors(folder: Path, answer: Answer) -> Arrays:
    names = dict(zip(answer.order, answer.names, strict=True))
    try:
        arrays = arrays_from_npz(
            (folder / TENSORS).read_bytes(), max_bytes=MAX_TENSORS_BYTES, max_arrays=MAX_TENSORS
        )
    except (OSError, DocumentError) as error:
        raise MeasurementError(f"the child left no arrays: {error}") from error
    return {names[key]: array for key, array in arrays.items()}


def _refusal(answer: Answer) -> InsightEdgeError:
    kind = getattr(errors, answer.kind, MeasurementError)
    if not (isinstance(kind, type) and issubclass(kind, InsightEdgeError)):
        kind = MeasurementError
    return kind(answer.message, hint=answer.hint)
