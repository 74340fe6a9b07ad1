# SPDX-License-Identifier: Apache-2.0
"""Evidence: measurements and verdicts that travel with a bundle.

A trial is what became of one target. A failed trial is evidence like any other.
"""

from typing import Literal

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.facts import Facts
from insight_edge.documents.measured import Energy, Load, Mode, Percentile, Sustained, WarmUp
from insight_edge.documents.target import Target
from insight_edge.documents.workload import Workload

MeasurementVerdict = Literal["VALID", "NOISY", "THROTTLED", "INVALID"]
TrialStatus = Literal["refused", "failed", "built"]
ProofVerdict = Literal["PROVEN", "UNPROVEN", "FAILED"]
ComparisonVerdict = Literal["faster", "slower", "no difference", "NOISY", "INVALID"]


class Interval(Document, frozen=True, kw_only=True):
    """An estimate with a two-sided confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95


class Noise(Document, frozen=True, kw_only=True):
    """What disturbed a measurement.

    Attributes:
        load_1min: load average when it ended.
        steal_share: share of the CPU time the hypervisor took, 0 to 1.
        involuntary_switches: of the measuring process, while measuring.
        waited_share: of the timed time, the asking thread could have run and other programs did.
        held_back_share: of the timed time, its control group had used up its quota.
        major_faults: pages that were read from a disk while measuring.
        clock_drop: 1 - slowest/fastest clock seen, or None where the kernel does not tell.
        clock_min_hz, clock_mean_hz, clock_max_hz: of the processors it ran on.
        throttles: how often processors were slowed down for their heat or supply.
        temperature_c: hottest sensor when it ended, or None.
        temperature_rise_c: by how much it was hotter than when it began.
        cpu_pressure, memory_pressure: share of the time in which some program of the machine
            waited for a processor, or for memory.
        governor: CPU frequency governor, or None.
        power_mode: that the machine was set to, or None.
        round_spread: relative spread (max/min - 1) of the medians of rounds.
    """

    load_1min: float
    steal_share: float
    involuntary_switches: int
    waited_share: float | None = None
    held_back_share: float | None = None
    major_faults: int | None = None
    clock_drop: float | None = None
    clock_min_hz: float | None = None
    clock_mean_hz: float | None = None
    clock_max_hz: float | None = None
    throttles: int | None = None
    temperature_c: float | None = None
    temperature_rise_c: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    governor: str | None = None
    power_mode: str | None = None
    round_spread: float


class Measurement(Document, frozen=True, kw_only=True):
    """Latency of one thing under one scenario; every figure in milliseconds.

    Attributes:
        scenario: MLPerf's word for how it was asked.
        rows: of a query.
        region: what the clock stands around, in words.
        iterations: timed queries.
        rounds: blocks they were interleaved in; intervals resample whole rounds.
        percentiles_ms: by name (`p99`); a percentile that the iterations cannot support is
            absent.
        percentiles: the same, each with its interval.
        modes: two, where latencies gather around two; none for one.
        peak_rss_bytes: of the measuring process.
        engine_bytes: of these, what came with the engine and the artifact; None where not told.
        warm_up: what was left out before; None where it was not told.
        throughput_per_s: rows answered in a second of the timed region, where queries follow one
            another; None where they are due at a rate.
        load: what came of those; None where there is no rate.
        sustained: how a long run kept its speed; None where there was none.
        energy: of an inference, one for each source; none where it was not asked for.
        energy_absent: sources that were looked for in vain, each with the reason.
        kind: `measured`, or `bound` when the machine is not of the profile's own class.
        verdict: whether it may be used, with `reasons`.
    """

    scenario: str = "single-stream"
    rows: int = 1
    region: str
    iterations: int
    rounds: int
    threads: int
    p50_ms: Interval
    mean_ms: float
    percentiles_ms: dict[str, float] = {}
    percentiles: tuple[Percentile, ...] = ()
    modes: tuple[Mode, ...] = ()
    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    engine_bytes: int | None = None
    warm_up: WarmUp | None = None
    throughput_per_s: Interval | None = None
    load: Load | None = None
    sustained: Sustained | None = None
    energy: tuple[Energy, ...] = ()
    energy_absent: tuple[str, ...] = ()
    kind: Literal["measured", "bound"] = "measured"
    noise: Noise
    verdict: MeasurementVerdict
    reasons: tuple[str, ...] = ()


class Prediction(Document, frozen=True, kw_only=True):
    """What is said of the latency of an artifact that was asked and could not be timed.

    Attributes:
        faster: predicted faster than FP32 of the same model on the profile's processor.
        method: what that rests on, in words.
        bound_ms: a latency that it cannot come below, from the profile's figures; None where these
            give none.
    """

    faster: bool
    method: str
    bound_ms: float | None = None


class Comparison(Document, frozen=True, kw_only=True):
    """What interleaved rounds of several launches say of b against a.

    Attributes:
        a, b: what was compared, for people.
        statistic: what of latencies: `p50`, another percentile, or the `mean` of a round.
        a_ms, b_ms: of either, the median over launches.
        ratio: b's over a's, by the signed ranks of launches; below 1 b is faster.
        p_value: of no difference, two-sided, of this comparison alone.
        compared: how many were compared with a; the confidence of `ratio` is such that the
            intervals of all hold together.
        same: the share by which two may differ and be called the same.
        launches: how often both were started; a launch is one pair.
        launches_needed: how many might tell, where these are too few to; otherwise 0.
        rounds: in each launch.
        seed: of the orders in which they were started and asked.
        verdict: of b; NOISY where the interval includes 1 and is too wide to mean "the same",
            INVALID where nothing may be said.
        reasons: why, and what disturbed launches.
        sentence: all that in words.
    """

    a: str
    b: str
    statistic: str = "p50"
    a_ms: Interval
    b_ms: Interval
    ratio: Interval
    p_value: float
    compared: int = 1
    same: float
    launches: int
    launches_needed: int = 0
    rounds: int
    seed: int = 0
    verdict: ComparisonVerdict
    reasons: tuple[str, ...] = ()
    sentence: str = ""


class OutputEvidence(Document, frozen=True, kw_only=True):
    """How close one output is to the source model's, whatever the labels say.

    Attributes:
        metric: `top-1`, the share of rows with the same class; or `relative error`, the size of
            the error over the size of the source model's answers (L2), where no class is said.
        value: with its interval; None where the error is infinite.
        sqnr_db: power of the source model's answers over that of the error; None where there is
            no error at all, or no finite one.
    """

    name: str
    metric: Literal["top-1", "relative error"]
    value: Interval | None
    sqnr_db: float | None


class Proof(Document, frozen=True, kw_only=True):
    """How an artifact's answers compare with the source model's on the same rows.

    Attributes:
        rows: verification rows, disjoint from the calibration rows.
        labelled: whether the task metric was used; otherwise agreement with the source model.
        metric: name of the task metric, e.g. `accuracy`.
        source_value, target_value: the metric of either, 0 to 1.
        drop_pp: percentage points lost.
        drop_upper_pp: one-sided 95 % upper bound of the paired loss.
        budget_pp: what the bound may be.
        measured_budget_pp: what may be lost as measured, where that is less.
        need_rows: how many more rows would settle it, where the verdict is UNPROVEN.
        agreement: of the rows, on average: 1 for the same class, or the share of close elements.
        max_abs_error, sqnr_db: of the raw model outputs.
        worst_row: the row with the largest error.
        outputs: agreement with the source model, output by output.
    """

    rows: int
    labelled: bool
    metric: str
    source_value: float
    target_value: float
    drop_pp: float
    drop_upper_pp: float
    budget_pp: float
    measured_budget_pp: float | None = None
    need_rows: int = 0
    agreement: float
    max_abs_error: float
    sqnr_db: float | None
    worst_row: int
    verdict: ProofVerdict
    reason: str
    outputs: tuple[OutputEvidence, ...] = ()


class FloatLayer(Document, frozen=True, kw_only=True):
    """A layer that a mixed-precision artifact leaves in floating point.

    Attributes:
        name: of its first operator.
        op: what that does.
        why: what makes 8 bits too few for it, in words.
        sqnr_db: of the worst output on calibration rows when this layer alone is quantised.
    """

    name: str
    op: str
    why: str
    sqnr_db: float


class Trial(Document, frozen=True, kw_only=True):
    """What became of one target.

    Attributes:
        reason: why it was refused, why it failed, why it lost or why it won.
        chosen: whether its artifact is in the bundle.
        unfinished: why an artifact that can be proven and measured is not shipped as it is; empty
            where there is no such reason.
        unexecuted: why an artifact that was built has never run; empty where it has, or where
            there is none.
        emulated: what an artifact of another architecture was asked in, e.g. `qemu-aarch64 7.2.22
            as cortex-a72`; empty where it ran on the machine itself, or not at all.
        prediction: in place of a measurement, of an artifact that was emulated.
        built_on: the machine that built it, where that was another than this compilation's.
        build_s: wall time of the build.
        artifact_bytes: of its files.
        log: the last lines of its child process.
        reproduce: the command that builds it again.
        against_fp32: p50 over that of the same engine's FP32, paired round by round; None where
            there was none.
        float_layers: what a repair left in floating point, the worst first.
    """

    target: Target
    status: TrialStatus
    reason: str
    chosen: bool = False
    build_s: float | None = None
    artifact_bytes: int | None = None
    proof: Proof | None = None
    measurement: Measurement | None = None
    unfinished: str = ""
    unexecuted: str = ""
    emulated: str = ""
    prediction: Prediction | None = None
    log: str = ""
    reproduce: str = ""
    against_fp32: Interval | None = None
    float_layers: tuple[FloatLayer, ...] = ()
    built_on: str = ""


class Evidence(Versioned, frozen=True, kw_only=True):
    """Everything known about the trials of one model for one profile.

    Attributes:
        measured_on: facts of the machine that measured; where all was emulated, of the machine
            that did.
        measured_by: the fleet's name of that machine; empty where it compiled itself.
        environment: package versions of the environment each engine was measured in, by token.
        workload: what the source model asks of hardware; None in bundles of older releases.
    """

    model_digest: str
    profile: str
    measured_on: Facts
    measured_by: str = ""
    environment: dict[str, dict[str, str]] = {}
    trials: tuple[Trial, ...]
    created: str
    workload: Workload | None = None
