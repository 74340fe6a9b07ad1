# SPDX-License-Identifier: Apache-2.0
"""A trial says what became of a target: refused, failed, or built and what was found."""

from pathlib import Path

import pytest

from insight_edge.compile.building.outcome import Built, Failed
from insight_edge.compile.job import Artifact
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.trials.examine import Finding
from insight_edge.compile.trials.package import Part
from insight_edge.compile.trials.trial import make_trial
from insight_edge.compile.trials.verify import no_rows
from insight_edge.documents.manifest import FileEntry
from insight_edge.documents.target import target_from_token

TARGET = target_from_token("openvino:int8")
PLANNED = Planned(target=TARGET)
BUILT = Built(
    artifact=Artifact(entry="m.xml", files=("m.xml", "m.bin")),
    files=(
        FileEntry(path="m.xml", sha256="0" * 64, length_bytes=10),
        FileEntry(path="m.bin", sha256="1" * 64, length_bytes=90),
    ),
    directory=Path(),
    build_s=2.5,
    peak_rss_bytes=1,
    log="said this",
)
PART = Part(target=TARGET, built=BUILT)
COMMAND = "insight-edge compile …"


def test_target_that_was_not_built_is_refused_with_the_plans_reason() -> None:
    trial = make_trial(Planned(target=TARGET, refusal="no rows"), None, None, COMMAND)
    assert (trial.status, trial.reason, trial.target) == ("refused", "no rows", TARGET)
    assert (trial.build_s, trial.artifact_bytes, trial.reproduce) == (None, None, COMMAND)


def test_build_that_failed_is_a_failed_trial_with_its_log() -> None:
    failed = Failed(reason="killed by signal 9", build_s=1.5, peak_rss_bytes=1, log="last words")
    trial = make_trial(PLANNED, failed, None, COMMAND)
    assert (trial.status, trial.reason) == ("failed", "killed by signal 9")
    assert (trial.build_s, trial.artifact_bytes, trial.log) == (1.5, None, "last words")


def test_artifact_that_could_not_be_examined_is_a_failed_trial() -> None:
    finding = Finding(part=PART, failure="it did not load")
    trial = make_trial(PLANNED, BUILT, finding, COMMAND)
    assert (trial.status, trial.reason) == ("failed", "it did not load")
    assert trial.artifact_bytes == 100


def test_artifact_that_was_examined_is_built_and_has_its_proof() -> None:
    proof = no_rows(1.0)
    trial = make_trial(PLANNED, BUILT, Finding(part=PART, proof=proof), COMMAND)
    assert (trial.status, trial.reason, trial.chosen) == ("built", "", False)
    assert (trial.proof, trial.measurement, trial.log) == (proof, None, "said this")


@pytest.mark.parametrize("failure", [None, "lost"])
def test_proof_survives_a_measurement_that_failed(failure: str | None) -> None:
    finding = Finding(part=PART, proof=no_rows(1.0), failure=failure)
    trial = make_trial(PLANNED, BUILT, finding, COMMAND)
    assert trial.proof is not None
    assert trial.status == ("failed" if failure else "built")


def test_artifact_that_cannot_run_here_is_built_and_says_that_it_never_ran() -> None:
    planned = Planned(target=TARGET, unexecuted="this machine has no Orin")
    trial = make_trial(planned, BUILT, None, COMMAND)
    assert (trial.status, trial.unexecuted) == ("built", "this machine has no Orin")
    assert trial.reason == "built, not executed: this machine has no Orin"
    assert (trial.artifact_bytes, trial.proof, trial.measurement) == (100, None, None)
    failed = Failed(reason="killed by signal 9", build_s=1.5, peak_rss_bytes=1, log="")
    assert make_trial(planned, failed, None, COMMAND).status == "failed"
