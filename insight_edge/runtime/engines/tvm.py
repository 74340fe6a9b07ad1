# SPDX-License-Identifier: Apache-2.0
"""The engine `tvm`: compiled shared libraries on the CPU, with TVM's runtime and no compiler.

What a device installs is the small package apache-tvm-ffi. The runtime's own
library comes with the artifact, or from an installed apache-tvm (`tvm_runtime`
has the rules). A library whose function is called `row` takes one row at a time:
callers may give any number, and each is computed by itself. One with `main` takes
what the model takes.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.runtime.engines import tvm_insides
from insight_edge.runtime.engines.tvm_runtime import RUNTIME_FILES, load_runtime, use_threads
from insight_edge.runtime.insides import LayerFacts
from insight_edge.runtime.installed import release

NAME = "tvm"
PACKAGE = "apache-tvm-ffi"
RUNTIME, TUNED = "runtime", "tuned"

ROW = "row"
CPU, POOLED = 1, 2
ALIGNMENT_BYTES = 64
"""Compiled code may load whole vectors from the start of a tensor, and faults where that is odd."""

Array = NDArray[Any]
Tensors = Mapping[str, Array]


class TvmEngine:
    """Loads shared libraries that the backend `tvm` has built."""

    def facts(self) -> EngineFacts | Missing:
        """Return the version of apache-tvm-ffi, which is what a device installs of TVM."""
        if find_spec("tvm_ffi") is None:
            return Missing(name=NAME, reason=f"the package {PACKAGE} is not installed")
        found = release(PACKAGE)
        if found is None:
            return Missing(name=NAME, reason="tvm_ffi is importable but not installed by pip")
        return EngineFacts(name=NAME, version=found, precisions=("fp32",))

    def layers(self, bundle: Bundle, variant: Variant, inputs: Tensors) -> tuple[LayerFacts, ...]:
        """Return the kernels that one inference calls."""
        session = self.load(bundle, variant, threads=1)
        try:
            return tvm_insides.layers(next(session.calls(inputs)))
        finally:
            session.close()

    def made(self, bundle: Bundle, variant: Variant, inputs: Tensors) -> dict[str, Array]:
        """Return what every kernel makes, in order."""
        session = self.load(bundle, variant, threads=1)
        try:
            return tvm_insides.joined(list(session.calls(inputs)))
        finally:
            session.close()

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "TvmSession":
        """Return a session on the variant's library."""
        named = {entry.path for entry in variant.files}
        carried = [bundle.file(name) for name in RUNTIME_FILES if name in named]
        io = bundle.manifest.io
        return open_library(
            bundle.file(variant.entry),
            carried,
            ([spec.name for spec in io.model_inputs], [spec.name for spec in io.model_outputs]),
            variant.settings,
            threads=threads,
        )


def open_library(
    path: Path,
    carried: Sequence[Path],
    names: tuple[Sequence[str], Sequence[str]],
    settings: Mapping[str, str],
    *,
    threads: int,
) -> "TvmSession":
    """Return a session on a library.

    Args:
        path: of the library.
        carried: the runtime's own libraries, where they come with it.
        names: of inputs and outputs, in the order of the model.
        settings: of the artifact.
        threads: that work at once, for each caller inside.

    Raises:
        ValueError: a setting that no bundle may have, or a runtime of another release.
    """
    strange = settings.keys() - {RUNTIME, TUNED}
    if strange:
        raise ValueError(f"setting '{min(strange)}' is not one that a bundle may set")
    ffi = load_runtime(carried, settings.get(RUNTIME, ""))
    library = _loaded_anew(ffi, path)
    by_row = bool(library["has_function"](ROW))
    return TvmSession(ffi, library["vm_load_executable"], *names, threads=threads, by_row=by_row)


def _loaded_anew(ffi: Any, path: Path) -> Any:
    """Return the library that lies at a path now.

    The loader knows libraries by name, and a library once loaded may stay: under a name that
    had another before, as a slot's does after two updates, it would return the old one.
    It would also hold each for good: this one goes with the last machine.
    """
    with TemporaryDirectory() as folder:
        name = Path(folder) / path.name
        name.symlink_to(path.absolute())
        return ffi.load_module(str(name), keep_module_alive=False)


class TvmSession:
    """One loaded library and a pool of virtual machines, one a caller inside.

    A machine keeps the frame of the call it is in, so two callers never share one.
    """

    def __init__(
        self,
        ffi: Any,
        executable: Callable[[], Any],
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        threads: int,
        by_row: bool,
    ) -> None:
        self._ffi, self._executable = ffi, executable
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._threads, self._by_row = threads, by_row
        self._machines: deque[Any] = deque([self._machine()])

    def infer(self, inputs: Tensors) -> dict[str, Array]:
        """Return the model outputs, copied out of the machine's own memory."""
        arrays = [inputs[name] for name in self._inputs]
        try:
            machine = self._machines.pop()
        except IndexError:
            machine = self._machine()
        try:
            use_threads(self._threads)
            if not self._by_row or len(arrays[0]) == 1:
                answers = self._call(machine, arrays)
            else:
                rows = [self._call(machine, row) for row in _rows(arrays)]
                answers = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        finally:
            self._machines.append(machine)
        return dict(zip(self._outputs, answers, strict=True))

    def calls(self, inputs: Tensors) -> Iterator[list[tuple[str, Array]]]:
        """Yield the kernels that each row calls, or all rows where the library takes all."""
        arrays = [inputs[name] for name in self._inputs]
        machine = self._initialised()
        asked = machine[self._entry]
        for row in _rows(arrays) if self._by_row else [arrays]:
            run = partial(self._call, asked, row)
            yield tvm_insides.called(self._ffi, machine, run)

    def close(self) -> None:
        """Drop the machines and the library."""
        self._machines.clear()
        del self._executable

    @property
    def _entry(self) -> str:
        return ROW if self._by_row else "main"

    def _machine(self) -> Any:
        return self._initialised()[self._entry]

    def _initialised(self) -> Any:
        machine = self._executable()
        machine["vm_initialization"](CPU, 0, POOLED, CPU, 0, POOLED)
        return machine

    def _call(self, machine: Any, arrays: Sequence[Array]) -> list[Array]:
        # A tensor does not keep the memory that it shares: a copy has to live until the end.
        shared = [_shareable(array) for array in arrays]
        answer = machine(*[self._ffi.from_dlpack(array) for array in shared])
        parts = [answer] if isinstance(answer, self._ffi.Tensor) else answer
        return [np.from_dlpack(part).copy() for part in parts]


def _rows(arrays: Sequence[Array]) -> Iterator[list[Array]]:
    """Yield one row of every input at a time.

    Raises:
        ValueError: there is none, or the inputs do not have equally many.
    """
    counts = {len(array) for array in arrays}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(f"inputs of {sorted(counts)} rows: at least one is needed, of each")
    for index in range(counts.pop()):
        yield [array[index : index + 1] for array in arrays]


def _shareable(array: Array) -> Array:
    """Return the array, or a copy where compiled code could not read it in place."""
    if not array.size:
        return _nothing(array)
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.ctypes.data % ALIGNMENT_BYTES == 0:
        return array
    room = np.empty(array.nbytes + ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % ALIGNMENT_BYTES
    aligned: Array = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    aligned[...] = array
    return aligned


def _nothing(array: Array) -> Array:
    """Return an array of no elements with the strides that compiled code checks for.

    NumPy counts a size of 0 as 1 there, DLPack as 0.
    """
    sizes = (*array.shape[1:], 1)
    strides = [array.itemsize * math.prod(sizes[axis:]) for axis in range(array.ndim)]
    return np.lib.stride_tricks.as_strided(np.empty(0, array.dtype), array.shape, strides)
