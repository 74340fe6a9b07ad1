# SPDX-License-Identifier: Apache-2.0
import pytest

from insight_edge.compile.toolchains.gist import gist

TVM = """Traceback (most recent call last):
TypeError: Reshape requires the input new shape to be Shape
[15:17:04] /project/src/relax/ir/block_builder.cc:67: Warning: BlockBuilder destroyed with blocks!
"""

XGBOOST = """xgboost.core.XGBoostError: Check failed: not implemented
Stack trace:
  [bt] (0) /lib/libxgboost.so(+0x22) [0x7f]
  [bt] (1) /lib/libffi.so.8(+0x640e) [0x7f]

"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (TVM, "TypeError: Reshape requires the input new shape to be Shape"),
        (XGBOOST, "xgboost.core.XGBoostError: Check failed: not implemented"),
        ("-- If-13\n-- Conversion is failed for: If-13\n", "-- Conversion is failed for: If-13"),
        ("f.cc:1: Warning: nothing else\n", "f.cc:1: Warning: nothing else"),
        ("\n", "it said nothing"),
    ],
)
def test_gist_is_what_went_wrong(log: str, expected: str) -> None:
    assert gist(log) == expected
