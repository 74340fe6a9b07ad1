# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.bench.queries import asking, queries_of, rows_of_a_query
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.errors import TensorMismatchError
from tests.fakes import engine
from tests.fakes.engine_bundles import fake_artifact, rows_of, weights_of, write_engine_bundle

COUNT = 6


def bundle_of(place: Path, batch: int | str) -> Bundle:
    weights = weights_of(0)
    write_engine_bundle(place / "b", engine.TOKEN, fake_artifact(weights), weights, batch=batch)
    return open_bundle(place / "b", allow_unsigned=True)


def asked(query: tuple[dict[str, NDArray[Any]], ...]) -> NDArray[Any]:
    """Return the rows of all batches of a query."""
    return np.concatenate([batch["x"] for batch in query])


@pytest.mark.parametrize(
    ("batch", "rows", "per_query", "batches", "queries"),
    [
        ("batch", 1, 1, 1, 6),
        ("batch", 4, 4, 1, 2),
        ("batch", 10, 10, 1, 1),
        (3, 1, 3, 1, 2),
        (4, 1, 4, 1, 2),
        (4, 6, 8, 2, 1),
        (2, 4, 4, 2, 2),
    ],
)
def test_queries_have_the_rows_that_are_asked_and_leave_none_out(
    batch: int | str, rows: int, per_query: int, batches: int, queries: int, tmp_path: Path
) -> None:
    given = rows_of(0, COUNT)
    found, size = queries_of(bundle_of(tmp_path, batch), given, rows)
    assert (size, len(found)) == (per_query, queries)
    assert rows_of_a_query(bundle_of(tmp_path, batch), rows) == per_query
    assert {len(query) for query in found} == {batches}
    assert {len(asked(query)) for query in found} == {per_query}
    flat = np.concatenate([asked(query) for query in found])
    np.testing.assert_array_equal(flat, given["x"][np.arange(len(flat)) % COUNT])


def test_arrays_are_writable_copies(tmp_path: Path) -> None:
    given = rows_of(0, COUNT)
    for array in given.values():
        array.setflags(write=False)
    found, _ = queries_of(bundle_of(tmp_path, "batch"), given, 2)
    assert all(array.flags.writeable for query in found for array in query[0].values())


def test_rows_that_no_caller_could_pass_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TensorMismatchError):
        queries_of(bundle_of(tmp_path, "batch"), rows_of(0, COUNT, columns=5), 1)


class Session:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def infer(self, inputs: Any) -> Any:
        self.asked.append(len(inputs["x"]))

    def close(self) -> None: ...


def test_nothing_stands_between_the_clock_and_one_batch(tmp_path: Path) -> None:
    session = Session()
    call, queries = asking(session, queries_of(bundle_of(tmp_path, "batch"), rows_of(0, 6), 3)[0])
    assert call == session.infer
    for _ in range(3):
        call(next(queries))
    assert session.asked == [3, 3, 3]


def test_query_of_many_batches_asks_all_of_them(tmp_path: Path) -> None:
    session = Session()
    call, queries = asking(session, queries_of(bundle_of(tmp_path, 2), rows_of(0, 6), 6)[0])
    call(next(queries))
    assert session.asked == [2, 2, 2]
