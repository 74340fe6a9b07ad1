# SPDX-License-Identifier: Apache-2.0
"""When what was counted keeps its bar, and that a deeper network does as much more."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks.compare import DEEPER, DEPTH, WIDTH, _network, _share


@pytest.mark.parametrize(
    ("count", "verdict"), [(0, "WITHIN"), (10, "WITHIN"), (11, "NOISY"), (30, "OVER")]
)
def test_no_more_than_may_be_is_within_and_what_chance_cannot_explain_is_over(
    count: int, verdict: str
) -> None:
    found = _share("itself", "called different", count, 200, bar=0.05)
    assert (found.verdict, found.peer, found.unit) == (verdict, f"{count} of 200", "%")
    assert found.value.low <= found.value.value <= found.value.high


def test_pairs_that_know_of_each_other_make_the_interval_wider() -> None:
    alone, related = (_share("", "", 10, 200, bar=None, of=of).value for of in (1, 2))
    assert related.low < alone.low < alone.high < related.high


def test_deeper_network_has_as_many_products_more_and_keeps_its_size() -> None:
    for more in (0, *DEEPER.values()):
        model = onnx.load_from_string(_network(DEPTH + more))
        assert len(model.graph.node) == DEPTH + more
        assert len(model.graph.initializer) == 1
    (answer,) = ReferenceEvaluator(model).run(None, {"x": np.ones((1, WIDTH), np.float32)})
    assert np.linalg.norm(answer) == pytest.approx(WIDTH**0.5, rel=1e-3)
