# SPDX-License-Identifier: Apache-2.0
"""`insight-cloud demo`: from training to a swap under load, and whether all promises held.

Everything happens in child processes with the ordinary programs; this module
only calls them in order and collects figures. `promises` judges them.
"""

import shutil
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insight_cloud.datasets.dataset import Split
from insight_cloud.datasets.known import load_dataset
from insight_cloud.demo import screen
from insight_cloud.demo.load import CALLERS, Application, Run
from insight_cloud.demo.machines import Machine, three_of
from insight_cloud.demo.programs import call, call_json
from insight_cloud.demo.promises import (
    DROP_BUDGET_PP,
    BrokenPromiseError,
    Outcome,
    in_window,
    latency_of,
    mixed_answers,
    promises,
)
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.errors import ConfigurationError

FIRST_LIMIT = 200


def tell_story(folder: Path, train_toml: Path) -> None:
    """Run the demo in an emptied folder and print what came out.

    Raises:
        ConfigurationError: there is no such training file; the folder is left alone.
        BrokenPromiseError: a promise was not kept; the table says which.
        InsightEdgeError: a step failed; what it said is on the terminal.
    """
    started_s = time.monotonic()
    if not train_toml.is_file():
        raise ConfigurationError(f"{train_toml}: no such file", hint="examples/train.toml is one")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    machines = three_of(_machines())
    names = [machine.id for machine in machines]
    final = load_dataset("digits").splits["final"]
    images = folder / "final.npz"
    images.write_bytes(npz_from_arrays({"image": final.inputs}))
    screen.chapter("Version 1 learns from 200 images")
    _train(folder, train_toml, 1, FIRST_LIMIT)
    screen.chapter(f"Compile it for {', '.join(names)}")
    _compile(folder, 1, names)
    screen.chapter(f"An application serves version 1 as on {names[0]}, to {CALLERS} callers")
    with Application(folder / "device", _bundle(folder, 1, names[0]), images) as application:
        screen.chapter("Meanwhile version 2 learns from all 700 images")
        _train(folder, train_toml, 2, None)
        screen.chapter(f"Compile it for {names[0]}, where the application runs")
        _compile(folder, 2, names[:1])
        screen.chapter("Full load, and a swap to version 2")
        second = _bundle(folder, 2, names[0])
        run = application.swap_under_full_load(second)
    outcome = _outcome(folder, names, final, run, started_s)
    screen.show(outcome, run.record, _latencies(run), [_bundle(folder, 1, n) for n in names])
    screen.show_window(run.reports[-1], second.manifest.reference)
    kept = promises(outcome)
    screen.show_promises(kept)
    broken = [promise.name for promise in kept if not promise.kept]
    if broken:
        raise BrokenPromiseError(f"not kept: {'; '.join(broken)}")


def _machines() -> list[Machine]:
    listed = call_json("insight-edge", "profiles", "list")["profiles"]
    fitting = [row for row in listed if str(row["this_machine"]).startswith("yes")]
    return [
        Machine(
            id=row["id"],
            cores=row["cores"],
            memory_gib=row["memory_gib"],
            isa=tuple(
                call_json("insight-edge", "profiles", "show", row["id"])["cpu"]["isa"]["value"]
            ),
        )
        for row in fitting
    ]


def _train(folder: Path, train_toml: Path, number: int, limit: int | None) -> None:
    some = () if limit is None else ("--set", f"data.limit={limit}")
    place = ("--state", folder / "cloud", "--export", folder / f"model-{number}")
    call("insight-cloud", "train", train_toml, *some, *place)


def _compile(folder: Path, number: int, profiles: list[str]) -> None:
    model = folder / f"model-{number}"
    call(
        "insight-edge", "compile",
        "-m", model / "model.onnx",
        "--calibration", model / "data.npz",
        "--max-drop", f"{DROP_BUDGET_PP:g}",
        "--cache", folder / "builds",
        "-o", folder / f"bundle-{number}-{{profile}}",
        *(word for profile in profiles for word in ("--profile", profile)),
    )  # fmt: skip


def _bundle(folder: Path, number: int, profile: str) -> Bundle:
    return open_bundle(folder / f"bundle-{number}-{profile}", allow_unsigned=True)


def _outcome(
    folder: Path, profiles: list[str], final: Split, run: Run, started_s: float
) -> Outcome:
    bundles = [_bundle(folder, 1, profile) for profile in profiles]
    served = [_bundle(folder, number, profiles[0]) for number in (1, 2)]
    own = {bundle.digest: _answers(folder, bundle) for bundle in served}
    accuracy = [_accuracy(own[bundle.digest], final) for bundle in served]
    source = [_source_accuracy(folder, number, final) for number in (1, 2)]
    by = [int((run.recording.bundle == bundle.digest).sum()) for bundle in served]
    return Outcome(
        bundles=len(bundles),
        engines=_proven_engines(bundles),
        accuracy=(accuracy[0], accuracy[1]),
        drop_pp=(100 * (source[0] - accuracy[0]), 100 * (source[1] - accuracy[1])),
        recording=run.recording,
        mixed=int(mixed_answers(run.recording, own).sum()),
        answered_by=(by[0], by[1]),
        reported=sum(report.counts.asked for report in run.reports),
        wall_s=time.monotonic() - started_s,
    )


def _answers(folder: Path, bundle: Bundle) -> NDArray[np.float32]:
    """Return the bundle's own probabilities for the final images, from a process of its own."""
    answers = folder / f"{bundle.path.name}.answers.npz"
    call("insight-edge", "run", bundle.path, "--input", folder / "final.npz", "-o", answers)
    with np.load(answers, allow_pickle=False) as file:
        found: NDArray[np.float32] = file["probabilities"]
    return found


def _source_accuracy(folder: Path, number: int, final: Split) -> float:
    """Return the accuracy of the trained FP32 model, before any compilation."""
    from insight_cloud.training.images.source import run_onnx
    from insight_edge.documents.codec import decode_json
    from insight_edge.documents.source import SourceDescription
    from insight_edge.transforms.executor import run

    model = folder / f"model-{number}"
    description = decode_json(SourceDescription, (model / "model.json").read_bytes())
    tensors = run(description.pre, {"image": final.inputs})
    logits = run_onnx((model / "model.onnx").read_bytes(), {"x": tensors["x"]}, threads=1)
    return _accuracy(logits["logits"], final)


def _accuracy(scores: NDArray[np.float32], final: Split) -> float:
    return float((scores.argmax(axis=1) == final.labels).mean())


def _proven_engines(bundles: list[Bundle]) -> int:
    trials = [trial for bundle in bundles for trial in bundle.evidence().trials]
    return len({t.target.backend for t in trials if t.proof and t.proof.verdict == "PROVEN"})


def _latencies(run: Run) -> tuple[screen.Latencies, ...]:
    seen = run.recording
    window_ms = (run.ended_ns - run.began_ns) / 1e6
    full = seen.started_ns >= run.full_ns
    during = in_window(seen, run.began_ns, run.ended_ns)
    return (
        screen.Latencies("whole run", latency_of(seen.latency_ns)),
        screen.Latencies("beside training and compiling", latency_of(seen.latency_ns[~full])),
        screen.Latencies("full load", latency_of(seen.latency_ns[full])),
        screen.Latencies(f"in the swap ({window_ms:.0f} ms)", latency_of(seen.latency_ns[during])),
    )
