# SPDX-License-Identifier: Apache-2.0
"""Results are believed as far as they are what was asked for, and sent as far as they fit."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from insight_edge.documents.codec import MAX_WIRE_BYTES, decode_wire, digest, encode_json
from insight_edge.documents.job import JobResult
from insight_edge.documents.result import BenchResult
from insight_edge.errors import DocumentError, LimitExceededError, MeasurementError
from insight_edge.fleet.jobs import results
from insight_edge.fleet.jobs.outcome import Done
from insight_edge.fleet.jobs.results import read_results
from insight_edge.fleet.jobs.rules import Over
from insight_edge.fleet.jobs.word import fitting, last_word
from tests.fakes.bench_program import results_of
from tests.fakes.bundles import bundle_files, bundle_manifest

MANIFEST = encode_json(bundle_manifest(bundle_files()))
(RESULT,) = results_of(MANIFEST, ["fp32"], "cam-1")
TWIN = replace(RESULT, variant="twin")


def left(path: Path, *found: BenchResult) -> Path:
    path.write_bytes(b"".join(encode_json(one) + b"\n" for one in found))
    return path


def read(path: Path, *variants: str) -> tuple[BenchResult, ...]:
    return read_results(path, bundle=digest(MANIFEST), variants=variants, device="cam-1")


def test_results_come_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    path = left(tmp_path / "r", TWIN, RESULT)
    assert read(path, "fp32", "twin") == (RESULT, TWIN)


@pytest.mark.parametrize(
    "found",
    [
        (),
        (RESULT,),
        (RESULT, RESULT),
        (RESULT, TWIN, TWIN),
        (RESULT, replace(TWIN, variant="other")),
        (RESULT, replace(TWIN, bundle="sha256:" + "0" * 64)),
        (RESULT, replace(TWIN, device="cam-2")),
        (RESULT, replace(TWIN, run="r2")),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, found: tuple[BenchResult, ...]) -> None:
    with pytest.raises(MeasurementError):
        read(left(tmp_path / "r", *found), "fp32", "twin")


def test_no_file_no_results_and_no_flood_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MeasurementError):
        read(tmp_path / "r", "fp32")
    (tmp_path / "r").write_bytes(b"{}")
    with pytest.raises(DocumentError):
        read(tmp_path / "r", "fp32")
    monkeypatch.setattr(results, "MAX_BYTES", 100)
    with pytest.raises(LimitExceededError):
        read(left(tmp_path / "r", RESULT), "fp32")


def word(*found: BenchResult) -> JobResult:
    return JobResult(device="cam-1", id="job-1", status="done", results=found, at_s=1.0)


def test_a_word_that_fits_is_sent_whole() -> None:
    assert decode_wire(JobResult, fitting(word(RESULT, TWIN))) == word(RESULT, TWIN)


def test_a_word_that_is_too_long_loses_samples_evenly_and_nothing_else() -> None:
    rounds = tuple((float(n),) * (MAX_WIRE_BYTES // 60) for n in range(10))
    long = replace(RESULT, samples_ms=rounds)
    (sent,) = decode_wire(JobResult, fitting(word(long))).results
    assert 0 < len(sent.samples_ms[0]) < len(rounds[0])
    assert len({len(samples) for samples in sent.samples_ms}) == 1
    assert replace(sent, samples_ms=()) == replace(long, samples_ms=())


def test_a_word_that_is_too_long_without_samples_is_refused() -> None:
    packages = {f"package-{n}": "1" * 1000 for n in range(2000)}
    with pytest.raises(LimitExceededError):
        fitting(word(replace(RESULT, packages=packages)))


def test_a_job_whose_results_never_fit_has_failed_and_says_so() -> None:
    packages = {f"package-{n}": "1" * 1000 for n in range(2000)}
    said = last_word("cam-1", "job-1", Done((replace(RESULT, packages=packages),), {}), at_s=1.0)
    found = decode_wire(JobResult, said)
    assert (found.status, found.kind, found.results) == ("failed", "LimitExceededError", ())


def test_what_a_job_without_results_came_to_is_told_in_one_line() -> None:
    said = last_word("cam-1", "job-1", Over("refused", MeasurementError("a\nb")), at_s=1.0)
    found = decode_wire(JobResult, said)
    assert (found.status, found.kind, found.reason) == ("refused", "MeasurementError", "a?b")
