# SPDX-License-Identifier: Apache-2.0
"""A scikit-learn estimator in ONNX, by skl2onnx, with what that leaves undone or gets wrong.

Labels with names become places among them, outputs are declared as they are answered, and
columns chosen by name are chosen by place. Compares nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.importers.sklearn_rows import steps_of
from insight_edge.errors import ModelError

OPSETS = {"": 18, "ai.onnx.ml": 3}
INPUT = "X"

Array = NDArray[Any]


def by_place(estimator: Any) -> Any:
    """Return the estimator, or a copy that chooses columns by place where it does so by name.

    Raises:
        ModelError: a column holds text.
    """
    changed = deepcopy(estimator)
    for step in steps_of(changed):
        _refuse_text(step)
        if hasattr(step, "transformers_"):
            places = {name: at for at, name in enumerate(getattr(step, "feature_names_in_", ()))}
            step.transformers_ = [
                (name, inner, _places(columns, places))
                for name, inner, columns in step.transformers_
            ]
            for _, inner, _ in step.transformers_:
                for deeper in steps_of(inner):
                    _refuse_text(deeper)
        if hasattr(step, "flatten_transform"):
            # Of what a vote transforms to, which nobody asks; the converter does not know it.
            step.flatten_transform = False
    return changed


def converted(estimator: Any) -> Any:
    """Return the ONNX model of a fitted estimator.

    Raises:
        ModelError: it has a part that skl2onnx does not know.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.base import is_classifier

    types = [(INPUT, FloatTensorType([None, estimator.n_features_in_]))]
    convert = partial(to_onnx, estimator, initial_types=types, target_opset=OPSETS)
    try:
        with _numbers_for_booleans():
            try:
                # A ZipMap answers with a list of dictionaries, which no engine but one can.
                return convert(options={"zipmap": False} if is_classifier(estimator) else None)
            except NameError:  # this classifier's converter makes none, and knows no such option
                return convert()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(
            f"cannot be converted: {type(error).__name__}: {lines[0]}",
            hint="replace the step it names, or export the rest to ONNX and do that step yourself",
        ) from error


def settle(model: Any, answers: Mapping[str, Array], *, outputs: int, classes: Any) -> None:
    """Make outputs what they are declared as: labels one number a row, and shapes as answered.

    Args:
        model: `onnx.ModelProto`; changed in place.
        answers: of the model to some rows, by output.
        outputs: how many of them are kept.
        classes: names of classes, sorted; labels become places among them.
    """
    graph = model.graph
    # skl2onnx lists them as they come from a set, and a file's digest is what names a model.
    model.opset_import.sort(key=lambda opset: opset.domain)
    del graph.output[outputs:]
    for output in graph.output:
        answer = answers[output.name]
        if answer.dtype.kind in "OUS":
            _end_with(graph, output.name, "LabelEncoder", domain="ai.onnx.ml",
                      keys_strings=[str(name) for name in classes],
                      values_int64s=list(range(len(classes))))  # fmt: skip
            _import_classical(model)
            output.type.tensor_type.elem_type = _INT64
        if answer.size == max(answer.shape) and outputs > 1 and output.name == graph.output[0].name:
            if answer.ndim > 1:
                _flatten(graph, output.name)
            answer = answer.reshape(-1)
        _declare(output, answer.shape)


_INT64 = 7


def _declare(output: Any, shape: tuple[int, ...]) -> None:
    output.type.tensor_type.ClearField("shape")
    output.type.tensor_type.shape.dim.add(dim_param="batch")
    for size in shape[1:]:
        output.type.tensor_type.shape.dim.add(dim_value=size)


def _flatten(graph: Any, name: str) -> None:
    from onnx.numpy_helper import from_array

    graph.initializer.append(from_array(np.array([-1], np.int64), f"{name}_flat"))
    _end_with(graph, name, "Reshape", f"{name}_flat")


def _import_classical(model: Any) -> None:
    """Ask for the version of classical operators that has the one added."""
    others = [o for o in model.opset_import if o.domain != "ai.onnx.ml"]
    del model.opset_import[:]
    model.opset_import.extend(others)
    model.opset_import.add(domain="ai.onnx.ml", version=OPSETS["ai.onnx.ml"])


def _end_with(graph: Any, name: str, op: str, *inputs: str, **attributes: Any) -> None:
    """Put one more operator before an output."""
    from onnx.helper import make_node

    before = f"{name}_before_{op}"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [before if each == name else each for each in names]
    graph.node.append(make_node(op, [before, *inputs], [name], name=f"{name}_{op}", **attributes))


def _refuse_text(step: Any) -> None:
    for categories in getattr(step, "categories_", ()):
        if np.asarray(categories).dtype.kind not in "iufb":
            raise ModelError(
                f"{type(step).__name__} encodes text ({categories[0]!r}), and inputs are numbers",
                hint="encode text as numbers before the pipeline, and fit it on those",
            )


def _places(columns: Any, places: Mapping[str, int]) -> Any:
    if isinstance(columns, str):
        return places[columns]
    if isinstance(columns, list) and columns and isinstance(columns[0], str):
        return [places[name] for name in columns]
    return columns


@contextmanager
def _numbers_for_booleans() -> Iterator[None]:
    """Let skl2onnx 1.20 say of trees where missing values go.

    It says so by booleans, which protobuf no longer takes for numbers.
    """
    from skl2onnx.common import _container

    make_node = _container.make_node

    def made(*arguments: Any, **attributes: Any) -> Any:
        return make_node(*arguments, **{name: _number(v) for name, v in attributes.items()})

    _container.make_node = made
    try:
        yield
    finally:
        _container.make_node = make_node


def _number(value: Any) -> Any:
    if isinstance(value, list) and any(isinstance(each, bool | np.bool_) for each in value):
        return [int(each) for each in value]
    return value
