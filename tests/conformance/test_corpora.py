# SPDX-License-Identifier: Apache-2.0
"""A seeded sample of the corpora agrees with docs/conformance.json, which may only get better."""

import json
import random
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from conformance.__main__ import DOCUMENT
from conformance.agreement import disagreement
from conformance.corpus import WITHDRAWN, Case, asked, cases, corpora_folder
from conformance.crew import backends_toolchain
from conformance.reading import conformance_profile
from conformance.record import FORBIDDEN, Record, joined, losses, read_record
from conformance.run import run
from conformance.table import table
from insight_edge.compile.profiles.writing import write_profile
from insight_edge.documents.facts import Missing
from tests.fakes.device_packages import device_python
from tests.fakes.programs import insight_edge

pytestmark = pytest.mark.slow

BACKENDS, SLOW = ("onnxruntime", "openvino"), ("tflite", "tvm")
SAMPLE, FEWER, SEED = 60, 20, 4
"""Cases, and how many of them the backends are asked whose builds take seconds."""

LIMIT_S = 120.0

ENOUGH = 3
"""Refusals of a backend that check is asked about."""

ROWLESS = re.compile(r"takes no rows|asked call by call")


def is_installed(token: str) -> bool:
    missing = isinstance(backends_toolchain(token), Missing)
    return not missing and device_python(token) is not None


@pytest.fixture(scope="module")
def corpus() -> tuple[Case, ...]:
    folder = corpora_folder()
    if not folder.exists():
        pytest.skip("the corpora are not here: python -m conformance --fetch")
    missing = [token for token in BACKENDS if device_python(token) is None]
    if missing:
        pytest.skip(f"the environment 'device-{missing[0]}' is not installed")
    return tuple(case for case in cases(folder) if case.corpus != "light")


@pytest.fixture(scope="module")
def committed() -> Record:
    return read_record(DOCUMENT)


@pytest.fixture(scope="module")
def found(corpus: tuple[Case, ...]) -> Record:
    sample = random.Random(SEED).sample(corpus, SAMPLE)  # noqa: S311 (a sample)
    rows = run(sample, BACKENDS, limit_s=LIMIT_S, bare=False)
    slow = [token for token in SLOW if is_installed(token)]
    return joined(rows, run(sample[:FEWER], slow, limit_s=LIMIT_S, bare=False))


def test_nothing_is_wrong_and_nothing_crashes(found: Record) -> None:
    bad = {
        f"{case} on {backend}": outcome
        for case, row in found.items()
        for backend, outcome in row.ours.items()
        if outcome.verdict in FORBIDDEN
    }
    assert not bad


def test_what_passed_still_passes(found: Record, committed: Record) -> None:
    assert found.keys() <= committed.keys()
    assert losses(committed, found) == []


def test_whole_record_has_nothing_wrong_and_its_page_is_of_it(committed: Record) -> None:
    outcomes = [outcome for row in committed.values() for outcome in row.ours.values()]
    assert outcomes
    assert not [outcome for outcome in outcomes if outcome.verdict in FORBIDDEN]
    assert DOCUMENT.with_suffix(".md").read_text() == table(committed)


@pytest.mark.parametrize("backend", ["openvino", *SLOW])
def test_refusals_are_those_of_check(
    found: Record, corpus: tuple[Case, ...], tmp_path: Path, backend: str
) -> None:
    by_id = {case.id: case for case in corpus}
    profile = tmp_path / "profile.toml"
    profile.write_text(write_profile(conformance_profile()))
    refused = sorted(
        (outcome.reason, case)
        for case, row in found.items()
        if backend in row.ours
        for outcome in [row.ours[backend]]
        if outcome.verdict == "refused"
    )
    assert refused or not is_installed(backend)
    if not refused:
        pytest.skip(f"{backend} is not installed")
    agreed = 0
    for reason, case in refused:
        done = insight_edge(
            "check", "-m", by_id[case].model, "--profile", profile, "--format", "json", cwd=tmp_path
        )
        told = " ".join(done.stderr.split())
        said = json.loads(done.stdout) if done.stdout else {"targets": [], "workload": {}}
        # The corpora are asked as they are; check asks a model that takes no rows call by call.
        if said["workload"].get("called") or ROWLESS.search(told):
            continue
        rows = [row for row in said["targets"] if row["target"] == f"{backend}:fp32"]
        told += "".join(row["why not"] for row in rows)
        assert reason.rstrip() in told
        agreed += 1
        if agreed == ENOUGH:
            break
    assert agreed


@pytest.mark.parametrize("name", sorted(WITHDRAWN))
def test_withdrawn_case_is_contradicted_by_the_reference_of_onnx(
    name: str, corpus: tuple[Case, ...]
) -> None:
    assert name not in {case.id for case in corpus}
    (case,) = (c for c in cases(corpora_folder(), withdrawn=True) if c.id == name)
    reference = ReferenceEvaluator(onnx.load(case.model))
    (one,) = asked(case.model)
    with np.errstate(all="ignore"):
        answers = reference.run(None, one.inputs)
    found = dict(zip(reference.output_names, answers, strict=True))
    assert disagreement(one.outputs, found, rtol=case.rtol, atol=case.atol, steps=case.steps)
