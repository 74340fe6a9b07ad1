# SPDX-License-Identifier: Apache-2.0
"""Time networks on every stand-in, in turn, and leave the lines of a file of results.

All stand-ins are started anew in each round, so that what disturbs the machine for
minutes disturbs all of them. Memory is that of a process that has one network alone.
"""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import environ
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.prediction_child import Done, Timed, Work
from benchmarks.prediction_devices import StandIn, quota
from insight_edge import __version__
from insight_edge.bench.felt import Felt
from insight_edge.bench.machine import machine_facts
from insight_edge.bench.measurement import Taken, measurement_from_blocks
from insight_edge.bench.noise import noise_between, read_noise
from insight_edge.documents.codec import digest
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.result import BenchResult
from insight_edge.errors import MeasurementError
from insight_edge.runtime.loading import engine_facts

ROUNDS = 3
SHORT_BLOCKS, SHORT_BLOCK_S = 20, 0.003
"""Shorter than a time slice, so that some fall between those of other programs."""

QUOTA_BLOCKS, QUOTA_BLOCK_S = 4, 0.04
"""Of a stand-in with a quota: many periods of it, since it is stopped in each."""

Tell = Callable[[str], None]


def write_networks(networks: Mapping[str, bytes], place: Path) -> dict[str, str]:
    """Write ONNX files by name and return where each is."""
    paths = {name: place / f"{name}.onnx" for name in networks}
    for name, path in paths.items():
        path.write_bytes(networks[name])
    return {name: str(path) for name, path in paths.items()}


def take_results(
    networks: Mapping[str, bytes], devices: Sequence[StandIn], place: Path, tell: Tell
) -> Iterator[BenchResult]:
    """Yield a result for every network on every stand-in.

    Raises:
        MeasurementError: a stand-in's process failed; the message has its last line.
    """
    paths, before = write_networks(networks, place), read_noise()
    taken: dict[str, list[Done]] = {device.id: [] for device in devices}
    for index in range(ROUNDS):
        for device in devices:
            tell(f"round {index + 1} of {ROUNDS}: {device.id}")
            taken[device.id].append(ask(device, paths))
    memory = {name: ask(devices[0], {name: path}).peak_rss_bytes for name, path in paths.items()}
    noise = noise_between(before, read_noise(), felt=Felt(), round_spread=0.0)
    run, host = secrets.token_hex(8), machine_facts(engine_facts())
    for device in devices:
        for name, data in networks.items():
            own = [done.timed[name] for done in taken[device.id]]
            said = Taken(
                threads=device.cores,
                load_ms=own[0].load_ms,
                first_ms=own[0].first_ms,
                peak_rss_bytes=memory[name],
                noise=noise,
            )
            yield _result(device, ModelInfo(name=name, digest=digest(data)), own, said, run, host)


def ask(device: StandIn, paths: Mapping[str, str]) -> Done:
    """Return what one process of a stand-in timed.

    Raises:
        MeasurementError: it failed.
    """
    held = device.quota < 1
    with quota(device.quota, device.cores) as tasks:
        work = Work(
            models=dict(paths),
            cpus=tuple(range(device.cores)),
            tasks=tasks,
            precision="bf16" if device.precision == "bf16" else "f32",
            blocks=QUOTA_BLOCKS if held else SHORT_BLOCKS,
            block_s=QUOTA_BLOCK_S if held else SHORT_BLOCK_S,
        )
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.prediction_child"],
            input=msgspec.json.encode(work),
            env=environ | device.environment,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise MeasurementError(f"{device.id}: {' '.join(last) or 'its process was killed'}")
    return msgspec.json.decode(done.stdout, type=Done)


def _result(
    device: StandIn, model: ModelInfo, own: Sequence[Timed], said: Taken, run: str, host: Facts
) -> BenchResult:
    blocks = [np.array(timed.means_ms) * 1e6 for timed in own]
    means = tuple(tuple(timed.means_ms) for timed in own)
    measured = measurement_from_blocks(blocks, said)
    return BenchResult(
        run=run,
        at_s=time.time(),
        release=__version__,
        host=host,
        profile=device.id,
        model=model,
        bundle=model.digest,
        variant=device.target.token,
        target=device.target,
        artifact=model.digest,
        measurement=msgspec.structs.replace(measured, region="mean of a block of calls in a row"),
        rounds_p50_ms=tuple(float(np.median(block)) for block in means),
        samples_ms=means,
    )
