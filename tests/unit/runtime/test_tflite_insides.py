# SPDX-License-Identifier: Apache-2.0
"""Which tensors of a file are the answers of a program's operators, told from names alone."""

from typing import Any

from insight_edge.runtime.engines.tflite_insides import _steps

CLASS = "project.Flat/project.Operator_source_"


class Interpreter:
    def __init__(self, *operators: tuple[str, int]) -> None:
        self.operators = operators

    def _get_ops_details(self) -> list[dict[str, Any]]:
        return [{"op_name": op, "outputs": [place]} for op, place in self.operators]


def tensor(index: int, name: str) -> dict[str, Any]:
    return {"index": index, "name": name}


def test_last_of_an_operator_and_first_of_those_that_became_one_are_its_answer() -> None:
    known = [
        tensor(1, f"{CLASS}conv2d;"),  # its weights: no operator puts them out
        tensor(2, f"{CLASS}conv2d;1"),
        tensor(3, f"{CLASS}norm;;{CLASS}conv2d;2"),
        tensor(4, f"{CLASS}silu;"),
        tensor(5, f"{CLASS}silu;1"),
        tensor(6, "serving_default_output_0_output"),
    ]
    interpreter = Interpreter(
        ("TRANSPOSE", 2), ("CONV_2D", 3), ("LOGISTIC", 4), ("MUL", 5), ("MEAN", 6), ("DELEGATE", 4)
    )
    found = {name: one["index"] for name, one in _steps(interpreter, known).items()}
    assert found == {"source_norm": 3, "source_silu": 5}
