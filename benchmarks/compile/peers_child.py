# SPDX-License-Identifier: Apache-2.0
"""Quantise a model as others do; run by a Python of `toolchain-peers`, which has them.

Usage: peers_child.py METHOD MODEL.onnx ROWS.npz OUT

    olive    Olive's static quantisation, every setting its own
    ort      ONNX Runtime's `quantize_static` after its preprocessing, every setting its own
    nncf     `nncf.quantize` of OpenVINO's model, every setting its own

OUT is a folder; `model.onnx` or `model.xml` is written into it. What fails ends
with a traceback and another exit code than 0.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Feeds = list[dict[str, Any]]


class Reader:
    """Rows as ONNX Runtime's quantiser asks for them."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next row by input name, None after the last."""
        return next(self._feeds, None)


class Rows:
    """Rows as Olive asks for them: (inputs, label) by number."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def __len__(self) -> int:
        return len(self._feeds)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], int]:
        row = {name: value[0] for name, value in self._feeds[index].items()}
        return row, 0


def olive(model: Path, feeds: Feeds, out: Path) -> None:
    """Write what Olive makes of it."""
    os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
    from olive.data.config import DataComponentConfig, DataConfig
    from olive.data.registry import Registry
    from olive.hardware import DEFAULT_CPU_ACCELERATOR
    from olive.model import ONNXModelHandler
    from olive.passes.olive_pass import create_pass_from_dict
    from olive.passes.onnx.quantization import OnnxStaticQuantization

    @Registry.register_dataset("calibration_rows")  # type: ignore[untyped-decorator]
    def rows(*_: object, **__: object) -> Rows:
        return Rows(feeds)

    data = DataConfig(
        name="calibration",
        load_dataset_config=DataComponentConfig(type="calibration_rows"),
    )
    quantise = create_pass_from_dict(
        OnnxStaticQuantization,
        {"data_config": data},
        disable_search=True,
        accelerator_spec=DEFAULT_CPU_ACCELERATOR,
    )
    done = quantise.run(ONNXModelHandler(str(model)), str(out / "olive"))
    Path(done.model_path).rename(out / "model.onnx")


def ort(model: Path, feeds: Feeds, out: Path) -> None:
    """Write what ONNX Runtime's quantiser makes of it."""
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(model, out / "prepared.onnx")
    quantize_static(out / "prepared.onnx", out / "model.onnx", Reader(feeds))


def nncf(model: Path, feeds: Feeds, out: Path) -> None:
    """Write what NNCF makes of OpenVINO's model."""
    os.environ["CI"] = "true"  # its packages send usage data home otherwise
    import nncf as quantiser
    import openvino

    found = quantiser.quantize(openvino.convert_model(model), quantiser.Dataset(feeds))
    openvino.save_model(found, out / "model.xml")


METHODS: dict[str, Callable[[Path, Feeds, Path], None]] = {"olive": olive, "ort": ort, "nncf": nncf}


def main(method: str, model: str, rows: str, out: str) -> None:
    """Quantise."""
    with np.load(rows, allow_pickle=False) as held:
        columns = {name: held[name] for name in held.files}
    count = len(next(iter(columns.values())))
    feeds = [{n: column[i : i + 1] for n, column in columns.items()} for i in range(count)]
    METHODS[method](Path(model), feeds, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
