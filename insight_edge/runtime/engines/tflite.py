# SPDX-License-Identifier: Apache-2.0
"""The engine `tflite`: `.tflite` files on the CPU, with XNNPACK.

LiteRT is taken, or the older tflite-runtime where that is what a device has.
Where the file's tensors are not the model's, the variant's settings say how
(`input.<name>`, `output.<name>`: what the file calls it; `input_axes.<name>`,
`output_axes.<name>`: its axes as numbers of the model's, e.g. `0,2,3,1`; `rows`:
how many rows the file takes at once), and callers see the model's.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime.engines import tflite_insides
from insight_edge.runtime.engines.tflite_notices import notices_dropped
from insight_edge.runtime.engines.tflite_ports import Axes, Port, port
from insight_edge.runtime.insides import LayerFacts, Wanted
from insight_edge.runtime.installed import release
from insight_edge.runtime.processor import isa_extensions

NAME = "tflite"
LITERT, OLDER = "ai_edge_litert", "tflite_runtime"

ROWS = "rows"
_PREFIXES = ("input.", "output.", "input_axes.", "output_axes.")

Tensors = Mapping[str, NDArray[Any]]
Shapes = tuple[tuple[int, ...], ...]


class TfLiteEngine:
    """Loads `.tflite` files."""

    def facts(self) -> EngineFacts | Missing:
        """Return its version, and INT8 among the precisions where it is faster here."""
        package = next((name for name in (LITERT, OLDER) if find_spec(name)), None)
        if package is None:
            return Missing(name=NAME, reason=f"the package {LITERT} is not installed")
        found = release(package)
        if found is None:
            return Missing(name=NAME, reason=f"{package} is importable but not installed by pip")
        if package == OLDER and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            reason = f"{OLDER} {found} needs NumPy 1, {np.__version__} is installed"
            return Missing(name=NAME, reason=reason)
        return EngineFacts(name=NAME, version=found, precisions=_precisions(package))

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "TfLiteSession":
        """Return a session on the variant's file."""
        io = bundle.manifest.io
        return open_file(
            bundle.file(variant.entry),
            io.model_inputs,
            io.model_outputs,
            variant.settings,
            threads=threads,
        )

    def layers(self, bundle: Bundle, variant: Variant, inputs: Tensors) -> tuple[LayerFacts, ...]:  # noqa: ARG002 (the file tells without them)
        """Return the operators of the file, and what runs each."""
        file = str(bundle.file(variant.entry))
        return tflite_insides.layers(tflite_insides.keeping(_interpreter_class(), file, 1))

    def tensors(
        self, bundle: Bundle, variant: Variant, inputs: Tensors, wanted: Wanted
    ) -> dict[str, NDArray[Any]]:
        """Return tensors inside, by the source model's names."""
        file, settings = str(bundle.file(variant.entry)), variant.settings
        interpreter = tflite_insides.keeping(_interpreter_class(), file, 1)
        specs = bundle.manifest.io.model_inputs
        ports = _ports(specs, interpreter.get_input_details(), settings, "input")
        # Kept tensors have the sizes that the file was written with.
        rows = int(interpreter.get_input_details()[0]["shape"][0])
        return tflite_insides.tensors(interpreter, ports, rows, inputs, wanted)


class TfLiteSession:
    """One loaded file and a pool of interpreters, one a caller inside.

    An interpreter keeps the shape it was last given and is resized when the next is another:
    that costs a tenth of a millisecond, one more interpreter its own copy of the weights.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        first: Any,
        taken: Sequence[Port],
        given: Sequence[Port],
        rows: int | None,
    ) -> None:
        shapes = {
            details["index"]: tuple(details["shape"]) for details in first.get_input_details()
        }
        self._make = make
        self._taken, self._given, self._rows = taken, given, rows
        self._first: Shapes = tuple(shapes[one.index] for one in taken)
        self._idle: list[tuple[Shapes, Any]] = [(self._first, first)]
        self._lock = threading.Lock()

    def infer(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Return the model outputs, copied out of the interpreter's memory."""
        fed = [one.to_file(inputs[one.name]) for one in self._taken]
        rows = self._rows
        if rows is None or len(fed[0]) == rows:
            return self._answer(fed)
        if len(fed[0]) % rows:
            raise ValueError(f"{len(fed[0])} rows do not fill batches of {rows}")
        starts = range(0, len(fed[0]), rows)
        parts = [self._answer([array[s : s + rows] for array in fed]) for s in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Drop the interpreters; their memory goes with them."""
        self._idle.clear()

    def _answer(self, fed: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        shapes = tuple(array.shape for array in fed)
        interpreter = self._take(shapes)
        # Recurrent operators keep their state in the interpreter: the last caller's.
        interpreter.reset_all_variables()
        for one, array in zip(self._taken, fed, strict=True):
            interpreter.set_tensor(one.index, array)
        interpreter.invoke()
        found = {p.name: p.to_caller(interpreter.get_tensor(p.index)) for p in self._given}
        # Only what has answered goes back: one that failed is of no more use.
        with self._lock:
            self._idle.append((shapes, interpreter))
        return found

    def _take(self, shapes: Shapes) -> Any:
        """Return an interpreter of these shapes that nobody else has."""
        with self._lock:
            same = (i for i, (its, _) in enumerate(self._idle) if its == shapes)
            its, interpreter = self._idle.pop(next(same, -1)) if self._idle else ((), None)
        if interpreter is None:
            interpreter, its = self._make(), self._first
            interpreter.allocate_tensors()
        if its != shapes:
            self._refuse_strange(shapes)
            for one, shape in zip(self._taken, shapes, strict=True):
                interpreter.resize_tensor_input(one.index, shape)
            interpreter.allocate_tensors()
        return interpreter

    def _refuse_strange(self, shapes: Shapes) -> None:
        """Refuse what would resize more than the rows; kernels may then read what is not theirs."""
        for one, first, shape in zip(self._taken, self._first, shapes, strict=True):
            if shape[1:] != first[1:] or len(shape) != len(first):
                raise ValueError(f"input '{one.name}' is {shape} as the file takes it, not {first}")


def open_file(
    file: Path,
    inputs: Iterable[TensorSpec],
    outputs: Iterable[TensorSpec],
    settings: Mapping[str, str],
    *,
    threads: int,
) -> TfLiteSession:
    """Return a session on a file of a model with these inputs and outputs.

    Raises:
        ValueError: a setting is none, or the file's tensors are not the model's.
    """
    _refuse_strange(settings)
    interpreter = _interpreter_class()

    def make() -> Any:
        return interpreter(model_path=str(file), num_threads=threads)

    with notices_dropped():
        first = make()
        first.allocate_tensors()
    taken = _ports(inputs, first.get_input_details(), settings, "input")
    given = _ports(outputs, first.get_output_details(), settings, "output")
    rows = int(settings[ROWS]) if ROWS in settings else None
    return TfLiteSession(make, first, taken, given, rows)


def signature_key(file: Path) -> str:
    """Return the name of a file's only signature.

    Raises:
        ValueError: it has another number of them.
    """
    keys = list(_interpreter_class()(model_path=str(file)).get_signature_list())
    if len(keys) != 1:
        raise ValueError(f"the file has {len(keys)} signatures, not one")
    return str(keys[0])


def signature_names(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tensors' names in the file by those in its signature: inputs, outputs.

    Raises:
        ValueError: it has not exactly one signature.
    """
    key = signature_key(file)
    interpreter = _interpreter_class()(model_path=str(file))
    runner = interpreter.get_signature_runner(key)
    sides = runner.get_input_details(), runner.get_output_details()
    taken, given = ({name: str(each["name"]) for name, each in s.items()} for s in sides)
    return taken, given


def all_names(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tensors' names in the file by every name for them: inputs, outputs.

    Those are the file's own, and those in its signature where it has exactly one.
    """
    interpreter = _interpreter_class()(model_path=str(file))
    interpreter.allocate_tensors()
    sides = interpreter.get_input_details(), interpreter.get_output_details()
    taken, given = ({str(one["name"]): str(one["name"]) for one in side} for side in sides)
    if len(interpreter.get_signature_list()) == 1:
        own_taken, own_given = signature_names(file)
        taken, given = taken | own_taken, given | own_given
    return taken, given


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter
    return Interpreter


def _refuse_strange(settings: Mapping[str, str]) -> None:
    strange = [key for key in settings if key != ROWS and not key.startswith(_PREFIXES)]
    if strange:
        raise ValueError(f"setting '{min(strange)}' is not one that a bundle may set")


def _ports(
    specs: Iterable[TensorSpec],
    details: Iterable[Mapping[str, Any]],
    settings: Mapping[str, str],
    side: str,
) -> list[Port]:
    """Return a port for each tensor of the model, in order.

    Raises:
        ValueError: the file has no such tensor, or one that cannot be it.
    """
    found = {each["name"]: each for each in details}
    ports = []
    for spec in specs:
        name = settings.get(f"{side}.{spec.name}", spec.name)
        if name not in found:
            raise ValueError(f"the file has no {side} '{name}', only {', '.join(sorted(found))}")
        axes = _axes(settings.get(f"{side}_axes.{spec.name}"))
        ports.append(port(spec, found[name], axes, is_input=side == "input"))
    if side == "input" and len(ports) != len(found):
        raise ValueError(f"the file has {len(found)} inputs, the model {len(ports)}")
    return ports


def _axes(written: str | None) -> Axes | None:
    return None if written is None else tuple(int(axis) for axis in written.split(","))


def _precisions(package: str) -> tuple[str, ...]:
    """Return what is faster here; the older runtime does not give INT8 to XNNPACK."""
    quick = {"avx2", "avx_vnni", "avx512_vnni", "asimddp"} & set(isa_extensions())
    return ("fp32", "int8") if quick and package == LITERT else ("fp32",)
