# SPDX-License-Identifier: Apache-2.0
"""Record one example of every document a release writes, every field filled in.

`python -m tests.golden.record` writes the files that are not there yet and never
touches one that is: a released file says what must still be read (rule F8 in
docs/formats/documents.md).
"""

from pathlib import Path
from typing import get_args

import numpy as np

from insight_edge.documents.challenge import Challenge, Disagreement, OutputDisagreement
from insight_edge.documents.codec import (
    Document,
    Versioned,
    encode_json,
    encode_msgpack,
    encode_wire,
)
from insight_edge.documents.desired import Challenging
from insight_edge.documents.evidence import (
    Evidence,
    Interval,
    Measurement,
    Noise,
    Proof,
    Trial,
)
from insight_edge.documents.facts import EngineFacts, Facts
from insight_edge.documents.foreign import ForeignResult
from insight_edge.documents.host import (
    Activate,
    Activated,
    AnyMessage,
    AskHealth,
    Compare,
    Compared,
    Health,
    Hello,
    Message,
    OutcomeRow,
    PredictionRow,
    Refused,
    Retire,
    Retired,
    SwapRecord,
    TakenOutcomes,
    TakenPredictions,
    TakenWindow,
    TakeOutcomes,
    TakePredictions,
    TakeWindow,
)
from insight_edge.documents.manifest import (
    FileEntry,
    Golden,
    Io,
    Manifest,
    ModelInfo,
    Provenance,
    Reference,
    Variant,
)
from insight_edge.documents.measured import Energy, Load, Mode, Percentile, Sustained, WarmUp
from insight_edge.documents.profile import (
    Accelerator,
    Caches,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Limits,
    PowerMode,
    Source,
)
from insight_edge.documents.report import Counts, Report, Window
from insight_edge.documents.result import BenchResult
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.statistics import (
    LatencyDocument,
    SummaryDocument,
    document_from_grid,
    document_from_latency,
    document_from_summary,
)
from insight_edge.documents.steps import (
    Argmax,
    Boxes,
    Cast,
    Channels,
    Crop,
    Decode,
    Feature,
    Label,
    Layout,
    Letterbox,
    Nms,
    Normalize,
    Observe,
    Resize,
    ResizeShorter,
    Scale,
    Sigmoid,
    Slice,
    Softmax,
    Sound,
    Threshold,
    Tokenize,
    Top,
    Unplace,
)
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.thresholds import Thresholds
from insight_edge.documents.vocabulary import Added, Vocabulary
from insight_edge.documents.workload import LiveTensor, Operand, Operation, Signature, Workload
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.tally import Tally
from tests.golden import fleet

DIRECTORY = Path(__file__).parent / "v1"

DIGEST = "sha256:" + "ab" * 32

FACTS = Facts(
    arch="aarch64",
    cpu_model="Cortex-A76",
    isa=("asimd", "asimddp"),
    cores=4,
    memory_bytes=8 << 30,
    os="Linux 6.6",
    accelerators=("Orin",),
    engines={
        "onnxruntime": EngineFacts(name="onnxruntime", version="1.31.0", precisions=("fp32",))
    },
)

GRID = grid_from_rows(
    ["brightness", "confidence"],
    np.array([[0.0, 0.5], [1.0, 0.5], [2.0, 0.5], [4.5, 0.5]]),
    cells=64,
)


def _summary() -> SummaryDocument:
    tally = Tally(GRID)
    tally.observe(np.array([[-1.0, np.nan], [2.0, np.nan], [np.inf, np.nan]]))
    return document_from_summary(tally.summary())


def _latency() -> LatencyDocument:
    histogram = LatencyHistogram()
    histogram.observe_ns(np.array([40, 41, 2**25]))
    return document_from_latency(histogram)


SUMMARY = _summary()
REFERENCE = Reference(grid=document_from_grid(GRID), summary=SUMMARY, rows=3)

RAW = TensorSpec(name="image", dtype="uint8", shape=("batch", 28, 28))
SCORES = TensorSpec(name="scores", dtype="float32", shape=("batch", 2))
LABELS = TensorSpec(name="label", dtype="str", shape=("batch",))
FED = TensorSpec(name="x", dtype="float32", shape=("batch", 1, 14, 14))

PRE = (
    Resize(source="image", result="small", height=14, width=14),
    Scale(source="small", result="small", factor=0.5, offset=-1.0),
    Layout(source="small", result="x", origin="NHW", to="NCHW"),
    Normalize(source="x", result="x", mean=(0.5,), std=(0.25,), axis=1),
    Cast(source="x", result="x", dtype="float32"),
)
POST = (
    Softmax(source="scores", result="scores", axis=1),
    Argmax(source="scores", result="index"),
    Label(source="index", result="label", classes=("cat", "dog")),
)
OBSERVE = Observe(
    stage="raw",
    inputs=(Feature(name="brightness", tensor="image", measure="mean", index=0, axis=2),),
    outputs=(Feature(name="confidence", tensor="scores", measure="confidence"),),
    strides={"image": 7},
)
MODEL = ModelInfo(
    name="pets", version=3, digest=DIGEST, task="image-classification", classes=("cat", "dog")
)


def _entry(path: str) -> FileEntry:
    return FileEntry(path=path, sha256="cd" * 32, length_bytes=1024)


IMAGE_STEPS = (
    Sound(source="noise", result="samples", rate=16_000, samples=9),
    Tokenize(
        source="question", result="ids", length=9, mask="mask", types="types", pair="answer",
        vocabulary=_entry("vocabulary.json"),
    ),
    Decode(source="file", result="photo", channels=1, max_pixels=9),
    ResizeShorter(source="photo", result="photo", size=9, method="nearest", antialias=True),
    Crop(source="photo", result="photo", height=8, width=7),
    Letterbox(
        source="photo", result="x", height=8, width=8, fill=1.0, method="nearest", antialias=True,
        placement="where",
    ),
)  # fmt: skip
ANSWER_STEPS = (
    Sigmoid(source="scores", result="scores"),
    Top(source="scores", result="best", count=2, indices="which"),
    Threshold(source="best", result="sure", least=(0.5, 0.25)),
    Slice(source="scores", result="boxes", start=0, stop=4, axis=1),
    Boxes(source="boxes", result="boxes", origin="cxcywh", to="xywh"),
    Nms(
        source="boxes", scores="scores", result="boxes", scores_result="kept",
        classes_result="class", iou=0.5, threshold=(0.5,), most=9, candidates=99, across=True,
    ),
    Unplace(source="boxes", result="boxes", placement="where"),
    Label(source="class", result="name", classes=("cat",), absent=""),
)  # fmt: skip

VOCABULARY = Vocabulary(
    kind="wordpiece",
    tokens=("[PAD]", "[UNK]", "a", "##b"),
    merges=((2, 3),),
    unknown_token=1,
    prefix="##",
    longest=9,
    cleaning=("clean", "lower"),
    split="punctuation",
    leading_space=True,
    whole=True,
    added=(Added(text="[PAD]", token=0, lstrip=True, rstrip=True),),
    single=((0, 0), (-1, 0)),
    pair=((-1, 0), (-2, 1), (0, 1)),
    pad=1,
    pad_type=1,
)

MANIFEST = Manifest(
    model=MODEL,
    profile="rpi5-8gb",
    io=Io(inputs=(RAW,), outputs=(LABELS,), model_inputs=(FED,), model_outputs=(SCORES,)),
    pre=(*PRE, *IMAGE_STEPS),
    post=(*POST, *ANSWER_STEPS),
    fused=(Channels(source="x", result="x", order=(2, 1, 0), axis=1),),
    observe=OBSERVE,
    variants=(
        Variant(
            name="onnxruntime-fp32",
            target=Target(backend="onnxruntime", precision="fp32", options={"level": 3}),
            entry="model.onnx",
            files=(_entry("model.onnx"),),
            engine_versions=">=1.22,<2",
            isa=("asimddp",),
            settings={"precision": "fp32"},
            role="fallback",
            decision="nothing is faster",
            tolerance=1e-05,
            mean_tolerances={"scores": 1e-06},
        ),
    ),
    golden=Golden(file=_entry("golden.npz"), rows=8, source="random"),
    reference=REFERENCE,
    evidence=_entry("evidence.json"),
    provenance=Provenance(
        toolchain={"onnx": "1.18.0"},
        lock_digests={"onnxruntime": DIGEST},
        reproduce="insight-edge compile",
        created="2026-01-01T00:00:00Z",
    ),
)

MEASUREMENT = Measurement(
    scenario="single-stream",
    rows=8,
    region="infer, inputs in memory",
    iterations=1000,
    rounds=10,
    threads=4,
    p50_ms=Interval(value=1.5, low=1.25, high=1.75, confidence=0.9),
    mean_ms=1.625,
    percentiles_ms={"p99": 2.5},
    percentiles=(
        Percentile(
            percent=99.0, value_ms=2.5, low_ms=2.25, high_ms=2.75, confidence=0.9, at_most_ms=3.0
        ),
    ),
    modes=(Mode(at_ms=1.5, share=0.75), Mode(at_ms=2.25, share=0.25)),
    load_ms=30.0,
    first_ms=9.5,
    peak_rss_bytes=1 << 27,
    engine_bytes=1 << 26,
    throughput_per_s=Interval(value=640.0, low=600.0, high=680.0, confidence=0.9),
    load=Load(
        rate_per_s=30.0,
        offered=1010,
        offered_per_s=30.25,
        answered=1000,
        dropped=10,
        achieved_per_s=29.5,
        busy_share=0.0625,
        deadline_ms=33.5,
        misses=12,
        waiting=1,
        woke_late_ms=0.125,
    ),
    sustained=Sustained(
        duration_s=60.5,
        iterations=30000,
        first_ms=1.5,
        last_ms=1.75,
        ratio=1.125,
        ratio_low=1.0625,
        ratio_high=1.25,
        clock_drop=0.125,
        throttles=2,
        temperature_rise_c=12.5,
    ),
    energy=(
        Energy(
            source="RAPL (package-0)",
            mj_per_inference=12.5,
            idle_w=3.5,
            busy_w=9.25,
            duration_s=2.5,
            inferences=1200,
        ),
    ),
    energy_absent=("NVML: no card",),
    warm_up=WarmUp(calls=120, duration_s=0.25, steady=True),
    kind="bound",
    noise=Noise(
        load_1min=0.5,
        steal_share=0.125,
        involuntary_switches=7,
        waited_share=0.25,
        held_back_share=0.0625,
        major_faults=3,
        clock_drop=0.25,
        clock_min_hz=1.5e9,
        clock_mean_hz=1.75e9,
        clock_max_hz=2e9,
        throttles=2,
        temperature_c=61.5,
        temperature_rise_c=4.5,
        cpu_pressure=0.125,
        memory_pressure=0.5,
        governor="performance",
        power_mode="nvpmodel 2",
        round_spread=0.0625,
    ),
    verdict="NOISY",
    reasons=("the hypervisor took 12% of the time",),
)

WORKLOAD = Workload(
    model_digest=DIGEST,
    opset=18,
    inputs=(FED,),
    outputs=(SCORES,),
    operations=(
        Operation(
            name="conv",
            op="Conv",
            flops=1000,
            read_bytes=800,
            written_bytes=400,
            parameter_bytes=200,
            signature=0,
        ),
    ),
    flops=1000,
    parameter_bytes=200,
    peak_live_bytes=1200,
    unknown_ops=("Custom",),
    peak_operation="conv",
    peak_tensors=(LiveTensor(name="x", length_bytes=784),),
    unsized=("loose",),
    called="input 'sr' is a single number",
    signatures=(
        Signature(
            op="Conv",
            inputs=(Operand(dtype="float32", rank=4), None),
            outputs=(True,),
            attributes={"mode": "linear", "antialias": 1},
        ),
    ),
)

EVIDENCE = Evidence(
    model_digest=DIGEST,
    profile="rpi5-8gb",
    measured_on=FACTS,
    measured_by="pi-7",
    environment={"onnxruntime": {"onnxruntime": "1.31.0"}},
    trials=(
        Trial(
            target=Target(backend="onnxruntime", precision="int8"),
            status="built",
            reason="the fastest that is proven",
            chosen=True,
            build_s=2.5,
            artifact_bytes=4096,
            proof=Proof(
                rows=360,
                labelled=True,
                metric="accuracy",
                source_value=0.975,
                target_value=0.96875,
                drop_pp=0.625,
                drop_upper_pp=1.75,
                budget_pp=2.0,
                need_rows=12,
                agreement=0.99,
                max_abs_error=0.5,
                sqnr_db=31.5,
                worst_row=17,
                verdict="PROVEN",
                reason="loses at most 1.75 pp",
            ),
            measurement=MEASUREMENT,
            log="done",
            reproduce="insight-edge compile --target onnxruntime:int8",
        ),
    ),
    created="2026-01-01T00:00:00Z",
    workload=WORKLOAD,
)

PROFILE = HardwareProfile(
    id="rpi5-8gb",
    name="Raspberry Pi 5",
    form_factor=Figure(value="sbc", source="maker"),
    dimensions_mm=Figure(value=(85.0, 56.0, 17.0), source="maker"),
    cpu=Cpu(
        arch="aarch64",
        model=Figure(value="Cortex-A76", source="maker"),
        isa=Figure(value=("asimd", "asimddp"), source="maker"),
        cores=Figure(value=4, source="maker"),
        clock_hz=Figure(value=2.4e9, source="maker"),
        caches=Caches(
            l1d_bytes=Figure(value=65536, source="maker"),
            l2_bytes=Figure(value=524288, source="maker"),
            l3_bytes=Figure(value=2097152, source="maker"),
        ),
    ),
    threads=4,
    dram=Dram(
        length_bytes=Figure(value=8 << 30, source="maker"),
        bandwidth_bytes_per_s=Figure(value=1.7e10, source="maker"),
    ),
    accelerators=(
        Accelerator(
            kind="gpu",
            model=Figure(value="Orin", source="maker"),
            compute_capability=Figure(value="8.7", source="maker"),
            memory_bytes=Figure(value=8 << 30, source="maker"),
            bandwidth_bytes_per_s=Figure(value=1e11, source="maker"),
            peak_ops_per_s={"int8": Figure(value=7e13, source="maker")},
        ),
    ),
    peak_ops_per_s={"fp32": Figure(value=1e11, source="maker")},
    storage_bytes_per_s=Figure(value=9e7, source="maker"),
    os=Figure(value="Linux", source="maker"),
    power_modes=(PowerMode(name="full", power_w=Figure(value=12.0, source="maker")),),
    price_usd=Figure(value=80.0, source="maker"),
    engines={"onnxruntime": EngineSupport(versions=">=1.22", precisions=("fp32", "int8"))},
    limits=Limits(
        latency_p50_ms=50.0, memory_bytes=1 << 30, artifact_bytes=1 << 26, max_drop_pp=2.0
    ),
    sources={"maker": Source(address="https://example.org/board.pdf", date="2026-01-01")},
)

REPORT = Report(
    device="pi-7",
    deployment="camera-1",
    boot=2,
    sequence=5,
    bundle=DIGEST,
    variant="onnxruntime-fp32",
    signed=True,
    recovered=True,
    window=Window(opened_s=1767225600.5, closed_s=1767225660.25),
    counts=Counts(asked=9, answered=8, failed=1, observed=7, flagged=2, broken=1),
    latency=_latency(),
    inputs=SUMMARY,
    outputs=SUMMARY,
    role="challenger",
    threads=2,
    challenge=Challenge(
        compared=5,
        dropped=2,
        failed=1,
        spent_ns=80_000_000,
        cpu_ns=60_000_000,
        share=0.25,
        keyed_served=6,
        keyed_challenged=2,
        fell_back=1,
        disagreements=(
            Disagreement(
                against=DIGEST,
                rows=5,
                differing=2,
                odd=1,
                outputs=(
                    OutputDisagreement(
                        name="scores", differing=2, decibels={"0": 1, "7": 3, "20": 1}
                    ),
                ),
            ),
        ),
    ),
)

SOURCE = SourceDescription(
    model=MODEL,
    inputs=(RAW,),
    outputs=(LABELS,),
    pre=PRE,
    post=POST,
    observe=OBSERVE,
    reference=REFERENCE,
)

SWAP = SwapRecord(
    origin=DIGEST,
    target=DIGEST,
    mode="stop-then-load",
    stage_ms=1.5,
    verify_ms=2.5,
    warm_ms=3.5,
    flip_ms=0.125,
    drain_ms=4.5,
    retire_ms=5.5,
    in_flight=2,
)

THRESHOLDS = Thresholds(
    bundle=DIGEST,
    grid=GRID.digest,
    statistic="psi-max",
    budget=0.01,
    window_rows=100,
    limit=0.40625,
    features=GRID.names,
    reference_rows=700,
    depends=True,
    seed=7,
    draws=1000,
)

FOREIGN = ForeignResult(
    reported_by="llama-bench",
    source="report.json",
    sha256=DIGEST,
    model="m.gguf",
    device="Cortex-A76",
    target="llama.cpp",
    precision="q4",
    scenario="512 prompt and 0 generated tokens",
    threads=4,
    iterations=5,
    latency_ms={"mean": 68.0, "p50": 67.5},
    throughput_per_s=7500.5,
    throughput_of="tokens",
    said="VALID",
)

RESULT = BenchResult(
    run="6f1c",
    at_s=1767225600.5,
    release="0.1.0",
    device="pi-7",
    host=FACTS,
    packages={"onnxruntime": "1.31.0"},
    profile="rpi5-8gb",
    model=MODEL,
    bundle=DIGEST,
    variant="onnxruntime-int8",
    target=Target(backend="onnxruntime", precision="int8", options={"per-channel": "true"}),
    cpus=(0, 2),
    artifact=DIGEST,
    measurement=MEASUREMENT,
    rounds_p50_ms=(1.25, 1.5),
    samples_ms=((1.25, 1.125, 1.5), (1.5, 1.625)),
)

JSON: tuple[Versioned, ...] = (
    EVIDENCE, FACTS, FOREIGN, MANIFEST, PROFILE, RESULT, SOURCE, THRESHOLDS, VOCABULARY, WORKLOAD,
    *fleet.standing(DIGEST, FACTS),
)  # fmt: skip

WIRE: tuple[Versioned, ...] = (REPORT, *fleet.sent(DIGEST, FACTS, SWAP, RESULT))

MESSAGES: tuple[Message, ...] = (
    Hello(protocol=1, pid=7, engines=FACTS.engines, serving=DIGEST, leaving=True),
    Activate(slot="b"),
    Activated(
        slot="b",
        record=SWAP,
    ),
    Refused(phase="verify", kind="SelfCheckError", reason="output 'scores' is missing"),
    AskHealth(),
    Health(
        window=4,
        serving=DIGEST,
        asked=9,
        answered=8,
        failed=1,
        p99_ms=2.5,
        rss_bytes=1 << 27,
        challenger=DIGEST,
    ),
    Compare(wanted=Challenging(bundle=DIGEST, cpu_share=0.1, share=0.2, salt="second")),
    Compared(bundle=DIGEST),
    TakeWindow(),
    TakenWindow(report=REPORT),
    TakePredictions(limit=10),
    TakenPredictions(
        rows=(
            PredictionRow(
                id="pi-7/2/5",
                key="frame-9",
                bundle=DIGEST,
                at_s=1767225600.5,
                outputs={"scores": [0.25, 0.75], "label": ["dog"], "index": [1]},
            ),
        )
    ),
    TakeOutcomes(limit=10),
    TakenOutcomes(
        rows=(OutcomeRow(id="pi-7/camera-1/2/5", key="frame-9", label="dog", at_s=1767225600.5),),
        boot=2,
        dropped=3,
    ),
    Retire(),
    Retired(),
)


def recordings() -> dict[str, bytes]:
    """Return what this release writes, by file name."""
    files = {f"{type(document).__name__}.json": encode_json(document) for document in JSON}
    files |= {f"{type(document).__name__}.bin": encode_wire(document) for document in WIRE}
    return files | {f"{type(m).__name__}.bin": encode_msgpack(m) for m in MESSAGES}


def kinds() -> dict[str, type[Document]]:
    """Return every document that stands alone, by name."""
    alone = (*map(type, JSON), *map(type, WIRE), *get_args(AnyMessage))
    return {kind.__name__: kind for kind in alone}


def main() -> None:
    """Write the files that are not there yet."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, data in recordings().items():
        path = DIRECTORY / name
        if not path.exists():
            path.write_bytes(data)


if __name__ == "__main__":
    main()
