# SPDX-License-Identifier: Apache-2.0
"""From ONNX to a shared library and the runtime it needs; runs where TVM is installed.

A model whose first dimension alone is open is compiled for one row, which is
what can be tuned, if ONNX Runtime shows that its rows do not depend on one
another: the engine then goes row by row. Any other open dimension stays open,
and its code stays untuned.
"""

import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.backends.tvm_processor import (
    ARCHITECTURES,
    demanded,
    linker,
    llvm_target,
)
from insight_edge.compile.backends.tvm_tuning import Tuning, tune
from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.errors import BuildFailedError
from insight_edge.runtime.engines.tvm import ROW
from insight_edge.runtime.engines.tvm_runtime import RUNTIME_FILES

ENTRY = "tvm-fp32.so"
HARNESS = "tvm-fp32-harness.cpp"

SORTING = b"tvm.contrib."
"""Names of functions that the second of the runtime's libraries has begin so."""

PYTHON_CALL = rb"relax\.run\.\w+"
"""Names of functions that are written in Python and come with the compiler alone."""

TRIED_ROWS = 3
ROUNDING = 1e-4
"""Share of an output's largest answer by which rows computed together may differ from apart."""

Rows = dict[str, NDArray[Any]]


def build_library(job: BuildJob, directory: Path) -> Artifact:
    """Write the artifact of a job.

    Raises:
        Exception: whatever TVM raises for a graph that it cannot read or compile.
    """
    import onnx
    import tvm
    import tvm_ffi

    model = onnx.load(job.model)
    by_row = _only_rows_are_open(model) and _rows_stand_alone(model)
    target = tvm.target.Target(llvm_target(job.arch, job.isa))
    tuning = tune(
        _lowered(model, target, one_row=by_row),
        target,
        store=None if job.shared is None else Path(job.shared),
        budget_s=float(job.target.options.get("tuning_s", 0.0)),
        here=job.arch == platform.machine(),
    )
    _export(tvm.compile(tuning.module, target=target), directory / ENTRY, job.arch)
    carried = (*_carry_runtime(directory, job.arch), *_carry_harness(directory, job.arch))
    settings = {"runtime": tvm.__version__, "tuned": f"{tuning.tuned}/{tuning.kernels}"}
    return Artifact(
        entry=ENTRY,
        files=(ENTRY, *carried),
        settings=settings,
        engine_versions=">=" + ".".join(tvm_ffi.__version__.split(".")[:3]),
        isa=demanded(job.arch, job.isa),
        unfinished=_unfinished(tuning, job.arch),
    )


def _unfinished(tuning: Tuning, arch: str) -> str:
    if not ARCHITECTURES[arch].runtime:
        return f"nobody publishes TVM's runtime for {arch}: build it, and run {HARNESS} with it"
    if tuning.tuned == tuning.kernels:
        return ""
    return f"{tuning.tuned} of {tuning.kernels} kernels are tuned{tuning.hint}"


def _inputs(model: Any) -> list[Any]:
    carried = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in carried]


def _only_rows_are_open(model: Any) -> bool:
    """Return whether every input's first dimension has one same name, and all others a size."""
    shapes = [value.type.tensor_type.shape.dim for value in _inputs(model)]
    if not shapes or not all(shapes):
        return False
    rows = {shape[0].dim_param for shape in shapes}
    fixed = all(dim.HasField("dim_value") for shape in shapes for dim in list(shape)[1:])
    return fixed and len(rows) == 1 and "" not in rows


def _rows_stand_alone(model: Any) -> bool:
    """Return whether some rows are answered apart as they are together."""
    reference = Reference(model.SerializeToString())
    rows = _made_up(model)
    apart = [reference.answers(_row(rows, index)) for index in range(TRIED_ROWS)]
    return all(
        _same(answer, tuple(one[name] for one in apart))
        for name, answer in reference.answers(rows).items()
    )


def _row(rows: Mapping[str, NDArray[Any]], index: int) -> Rows:
    return {name: array[index : index + 1] for name, array in rows.items()}


def _same(together: NDArray[Any], apart: tuple[NDArray[Any], ...]) -> bool:
    if together.ndim == 0 or together.shape[0] != TRIED_ROWS:
        return False
    joined = np.concatenate(apart)
    if joined.shape != together.shape:
        return False
    if together.dtype.kind != "f":
        return bool((joined == together).all())
    size = float(np.abs(together[np.isfinite(together)]).max(initial=0.0))
    return bool(np.allclose(joined, together, rtol=0, atol=ROUNDING * size, equal_nan=True))


def _made_up(model: Any) -> Rows:
    """Return rows that differ; integers are 0 and 1, which are in range wherever they index."""
    from onnx.helper import tensor_dtype_to_np_dtype

    generator = np.random.default_rng(0)
    rows = {}
    for value in _inputs(model):
        tensor = value.type.tensor_type
        dtype = tensor_dtype_to_np_dtype(tensor.elem_type)
        shape = (TRIED_ROWS, *(dim.dim_value for dim in list(tensor.shape.dim)[1:]))
        made = (
            generator.normal(size=shape) if dtype.kind == "f" else generator.integers(2, size=shape)
        )
        rows[value.name] = made.astype(dtype)
    return rows


def _lowered(model: Any, target: Any, *, one_row: bool) -> Any:
    """Return the model as kernels, each a task that may be tuned."""
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    from insight_edge.compile.backends.tvm_graph import readable

    module = from_onnx(readable(model, one_row=one_row), keep_params_in_input=False)
    passes = [
        relax.transform.DecomposeOpsForInference(),
        relax.transform.CanonicalizeBindings(),
        relax.get_pipeline("zero"),
    ]
    if one_row:
        # The engine goes by the name, and no caller can take one for the other.
        functions = dict(module.functions)
        answer = functions.pop(module.get_global_var("main"))
        functions[tvm.ir.GlobalVar(ROW)] = answer.with_attr("global_symbol", ROW)
        module = tvm.IRModule(functions)
    with target:
        return tvm.transform.Sequential(passes)(module)


def _export(executable: Any, path: Path, arch: str) -> None:
    from tvm.support import cc

    # A build id is a digest of paths too, and two builds have not the same.
    link = cc.cross_compiler(linker(arch), options=["-shared", "-fPIC", "-Wl,--build-id=none"])
    with TemporaryDirectory() as scratch:
        executable.export_library(str(path), fcompile=link, workspace_dir=scratch)


def _carry_harness(directory: Path, arch: str) -> tuple[str, ...]:
    """Write the program that asks the library, where nobody publishes what an engine would need."""
    if ARCHITECTURES[arch].runtime:
        return ()
    source = Path(__file__).with_name("tvm_harness.cpp")
    (directory / HARNESS).write_bytes(source.read_bytes())
    return (HARNESS,)


def _refuse_python(library: Path) -> None:
    """Raise where a library calls what only the compiler's Python package has.

    Raises:
        BuildFailedError: it does.
    """
    called = {name.decode() for name in re.findall(PYTHON_CALL, library.read_bytes())}
    if called:
        raise BuildFailedError(f"it calls {', '.join(sorted(called))}, which no device has")


def _carry_runtime(directory: Path, arch: str) -> tuple[str, ...]:
    """Copy what a device needs beside apache-tvm-ffi, where what is installed here is of its kind.

    It is 3 MB of TVM's own, Apache-2.0 as TVM is; the package it comes in is 300 MB.
    """
    import tvm

    if arch != platform.machine():
        return ()
    wanted = RUNTIME_FILES if SORTING in (directory / ENTRY).read_bytes() else RUNTIME_FILES[:1]
    for name in wanted:
        shutil.copyfile(Path(tvm.__file__).parent / "lib" / name, directory / name)
    return tuple(wanted)
