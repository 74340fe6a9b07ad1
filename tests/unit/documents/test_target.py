# SPDX-License-Identifier: Apache-2.0
import pytest

from insight_edge.documents.target import PRECISIONS, Target, target_from_token
from insight_edge.errors import ConfigurationError


@pytest.mark.parametrize("precision", PRECISIONS)
def test_token_gives_the_target_it_names(precision: str) -> None:
    token = f"openvino:{precision}"
    assert target_from_token(token).token == token


@pytest.mark.parametrize(
    "token", ["", "openvino", ":int8", "openvino:", "openvino:int4", "openvino:int8:x", "int8"]
)
def test_token_without_a_backend_or_precision_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a target") as caught:
        target_from_token(token)
    assert (
        caught.value.hint == "write backend:precision, with a precision of fp32, bf16, fp16, int8"
    )


def test_rank_falls_with_precision() -> None:
    ranks = [Target(backend="b", precision=precision).rank for precision in PRECISIONS]
    assert ranks == [0, 1, 2, 3]
