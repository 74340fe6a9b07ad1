# SPDX-License-Identifier: Apache-2.0
"""Files of results: what is added is read, a broken line is named, rounds are thinned evenly."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.bench.results import append_results, read_results, rounds_p50_ms, samples_ms
from insight_edge.documents.manifest import FileEntry
from insight_edge.documents.result import artifact_digest
from insight_edge.errors import ConfigurationError, DocumentError, StorageError
from tests.golden.record import RESULT

BLOCKS = st.lists(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=60).map(np.array), min_size=1, max_size=6
)


def test_results_are_read_as_they_were_added(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, second = RESULT, replace(RESULT, run="other", samples_ms=())
    append_results(path, [first])
    append_results(path, [second, first])
    assert read_results(path) == (first, second, first)


def test_a_line_that_is_no_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_results(path, [RESULT])
    with path.open("ab") as file:
        file.write(b'{"run": 7}\n')
    with pytest.raises(DocumentError, match=r"results.jsonl, line 2: BenchResult"):
        read_results(path)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_results(tmp_path / "none.jsonl")


@pytest.fixture
def little_room() -> Iterator[int]:
    """Let no file of this process be longer than 5000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    yield 5000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, little_room: int) -> None:
    path = tmp_path / "results.jsonl"
    append_results(path, [RESULT])
    assert path.stat().st_size < little_room
    with pytest.raises(StorageError, match="cannot be written"):
        append_results(path, [RESULT] * 5)
    assert read_results(path) == (RESULT,)


@given(BLOCKS, st.integers(0, 200))
def test_rounds_are_thinned_to_so_many_and_keep_their_order(
    blocks: list[np.ndarray], most: int
) -> None:
    kept = samples_ms(blocks, most)
    assert [len(one) for one in kept] == [min(len(b), most // len(blocks)) for b in blocks]
    for block, some in zip(blocks, kept, strict=True):
        rest = iter(np.round(block / 1e6, 6).tolist())
        assert all(any(latency == left for left in rest) for latency in some)


@given(BLOCKS)
def test_a_thinned_round_begins_and_ends_as_the_round_does(blocks: list[np.ndarray]) -> None:
    for block, some in zip(blocks, samples_ms(blocks, 2 * len(blocks)), strict=True):
        assert some[0] == round(float(block[0]) / 1e6, 6)
        assert len(block) == 1 or some[-1] == round(float(block[-1]) / 1e6, 6)


def test_the_median_of_a_round_is_of_all_of_it() -> None:
    assert rounds_p50_ms([np.array([1_000_000, 3_000_000, 2_000_000])]) == (2.0,)


def test_an_artifact_is_known_by_its_files_in_any_order() -> None:
    one = FileEntry(path="a.onnx", sha256="0" * 64, length_bytes=1)
    other = FileEntry(path="b.bin", sha256="1" * 64, length_bytes=1)
    assert artifact_digest([one, other]) == artifact_digest([other, one])
    assert artifact_digest([one]) != artifact_digest([replace(one, path="c.onnx")])
