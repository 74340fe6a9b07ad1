# SPDX-License-Identifier: Apache-2.0
"""What is unfinished is measured and never shipped, and built again the next time."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from insight_edge.compile.building.cache import build_key, build_once
from insight_edge.compile.building.outcome import Built
from insight_edge.compile.choose import choose
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.reproduce import Reproduce
from insight_edge.compile.settings import Settings
from insight_edge.compile.targets.plan import Planned
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.compile.trials.trial import make_trial
from insight_edge.documents.evidence import Interval, Measurement, Noise, Proof, Trial
from insight_edge.documents.profile import Limits
from insight_edge.documents.target import Target, target_from_token
from insight_edge.errors import ConfigurationError, NothingShippableError

ROOT = Path(__file__).parents[3]
TOOLCHAIN = Toolchain(versions={"fakec": "1.0"})
JOB = BuildJob(
    plugin="tests.fakes.improving_backend:Improving",
    target=Target(backend="fake", precision="fp32"),
    model="/a/model.onnx",
    model_digest="sha256:1",
    arch="x86_64",
)


def trial_of(token: str, p50_ms: float, unfinished: str = "") -> Trial:
    proof = Proof(
        rows=300, labelled=True, metric="accuracy", source_value=1.0, target_value=1.0,
        drop_pp=0.0, drop_upper_pp=0.9, budget_pp=1.0, agreement=1.0, max_abs_error=0.0,
        sqnr_db=None, worst_row=0, verdict="PROVEN", reason="PROVEN",
    )  # fmt: skip
    measurement = Measurement(
        region="infer", iterations=100, rounds=5, threads=1, mean_ms=p50_ms, load_ms=1.0,
        p50_ms=Interval(value=p50_ms, low=p50_ms - 0.01, high=p50_ms + 0.01), first_ms=1.0,
        peak_rss_bytes=1, verdict="VALID",
        noise=Noise(load_1min=0, steal_share=0, involuntary_switches=0, round_spread=0),
    )  # fmt: skip
    return Trial(
        target=target_from_token(token),
        status="built",
        reason="",
        proof=proof,
        measurement=measurement,
        unfinished=unfinished,
    )


def test_unfinished_is_not_chosen_however_fast_it_is() -> None:
    quick = trial_of("tvm:fp32", 1.0, "0 of 3 kernels are tuned")
    choice = choose([quick, trial_of("onnxruntime:fp32", 2.0)], Limits())
    assert choice.shipped == (1,)
    assert choice.trials[0].reason == "0 of 3 kernels are tuned"
    assert choice.trials[0].measurement is not None


def test_what_is_unfinished_says_so_before_it_asks_for_more_rows() -> None:
    slow = trial_of("tvm:fp32", 1.0, "0 of 3 kernels are tuned")
    assert slow.proof is not None
    unproven = replace(slow.proof, verdict="UNPROVEN", reason="UNPROVEN: need 9 more")
    slow = replace(slow, proof=unproven)
    choice = choose([slow, trial_of("onnxruntime:fp32", 2.0)], Limits())
    assert choice.trials[0].reason == "0 of 3 kernels are tuned"
    lossy = replace(slow, proof=replace(unproven, verdict="FAILED", reason="loses 3 pp"))
    choice = choose([lossy, trial_of("onnxruntime:fp32", 2.0)], Limits())
    assert choice.trials[0].reason == "loses 3 pp"


def test_nothing_is_shipped_where_all_is_unfinished() -> None:
    with pytest.raises(NothingShippableError, match="0 of 3 kernels are tuned"):
        choose([trial_of("tvm:fp32", 1.0, "0 of 3 kernels are tuned")], Limits())


def test_trial_tells_what_its_artifact_said() -> None:
    artifact = Artifact(entry="a", files=("a",), unfinished="1 of 2")
    built = Built(
        artifact=artifact, files=(), directory=Path(), build_s=1.0, peak_rss_bytes=1, log=""
    )
    assert make_trial(Planned(target=JOB.target), built, None, "").unfinished == "1 of 2"


def test_unfinished_build_is_built_again_until_it_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    outcomes = [build_once(JOB, tmp_path, TOOLCHAIN) for _ in range(3)]
    built = [outcome for outcome in outcomes if isinstance(outcome, Built)]
    assert len(built) == 3
    assert [one.cached for one in built] == [False, False, True]
    assert [one.artifact.unfinished for one in built] == ["1 of 2", "", ""]
    assert (built[2].directory / "a.bin").read_text() == "2"
    assert len(list((tmp_path / "shared" / "fake").iterdir())) == 2


def test_what_builds_share_is_no_part_of_their_key() -> None:
    elsewhere = replace(JOB, shared="/elsewhere", keep=True)
    assert build_key(JOB, TOOLCHAIN) == build_key(elsewhere, TOOLCHAIN)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_time_that_cannot_be_spent_on_tuning_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError):
        Settings(tuning_s=seconds)


def test_command_that_does_it_again_tunes_as_long() -> None:
    command = Reproduce(
        model=Path("m.onnx"),
        profile="box",
        output=Path("b"),
        samples=None,
        settings=Settings(tuning_s=60.0, cache=Path("kept")),
    )
    assert "--tuning 60 --cache kept" in command.whole()
