# SPDX-License-Identifier: Apache-2.0
"""What the agent takes from a device, what it sends, and how long an update takes it.

A real `insight-edge agent run` connected to a real `insight-cloud up`, over loopback.
Memory is resident, all of it, although 25 MB are pages of libraries that other programs
share; processor time is what the kernel counted for its threads. Both are taken with
nothing attached, and with an application attached that asks nothing.

The report is the one that a runtime writes over the features of the digits model, of
`examples/train.toml`; one a minute is sent. The time of an update is from the assignment
in the cloud to the commit as the cloud knows it, without a probation, while an
application asks: half a second of the worker's turn and up to two of the agent's are in it.

Expected: 50 MB, 0.2 %, 100 kB an hour, 3 s.
"""

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.figure import Figure, figure_from_estimate
from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.settings import Settings
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.codec import encode_wire
from insight_edge.errors import MeasurementError
from insight_edge.fleet.attendant import Rhythm
from insight_edge.fleet.identity import deployment_dir, identity_of
from insight_edge.runtime.infer import Runtime
from insight_edge.stats.interval import median_interval

NAME = "agent"
ROOT = Path(__file__).parents[1]
DEVICE, DEPLOYMENT = "bench-1", "camera-1"
LIMIT_BYTES, LIMIT_SHARE = 60e6, 0.01
SETTLE_S, SPAN_S, SPANS = 15.0, 4.0, 10
UPDATES = 11
REPORTS, ROWS_A_REPORT = 10, 600
DEADLINE_S, POLL_S = 90.0, 0.02
HOUR_S = 3600.0

Rows = dict[str, NDArray[np.generic]]


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is a directory to work in.

    Raises:
        MeasurementError: a program failed, or an update did not arrive.
    """
    with _cloud(place) as (cloud, address):
        _enrol(place, address)
        tell("agent: training and compiling the digits model")
        bundles, rows = _digits(place, identity_of(place / "device").profile)
        digests = [_publish(cloud, path) for path in bundles]
        with _agent(place) as agent:
            tell("agent: connected, nothing attached")
            yield from _footprint(agent, "connected, nothing attached")
            _reach(cloud, digests[0], committed_only=True)
            with Runtime.attach(_host(place)):
                tell("agent: an application attached")
                yield from _footprint(agent, "an application attached")
        yield _report_bytes(bundles[0], rows)
        with _agent(place, "--probation-s", "0"), _application(_host(place), rows):
            yield _update_time(cloud, digests, tell)


def _footprint(agent: int, case: str) -> Iterator[Figure]:
    """Yield memory and processor time of a process."""
    time.sleep(SETTLE_S)
    bytes_, shares = [], []
    for _ in range(SPANS):
        before_ns, began_ns = _processor_ns(agent), time.monotonic_ns()
        time.sleep(SPAN_S)
        shares.append((_processor_ns(agent) - before_ns) / (time.monotonic_ns() - began_ns))
        bytes_.append(_resident_bytes(agent))
    for values, limit, compared, note in (
        (bytes_, LIMIT_BYTES, ("resident memory", "60 MB"), f"{np.median(bytes_) / 1e6:.1f} MB"),
        (shares, LIMIT_SHARE, ("processor time", "1 %"), f"{np.median(shares):.2%} of one"),
    ):
        yield figure_from_estimate(
            median_interval([np.array([value / limit]) for value in values]),
            name=NAME,
            case=case,
            compared=compared,
            rounds=SPANS,
            bar=1.0,
            note=note,
        )


def _report_bytes(bundle: Path, rows: Rows) -> Figure:
    """Return what the reports of an hour weigh."""
    each_s = Rhythm().window_s
    sizes, features = [], 0
    with Runtime.open(bundle, allow_unsigned=True, threads=1) as runtime:
        for report in range(REPORTS):
            for row in islice(cycle(_calls(rows, seed=report)), ROWS_A_REPORT):
                runtime.infer(row)
            taken = runtime.take_report()
            if taken is None:
                raise MeasurementError("the runtime counted nothing")
            mine = replace(taken, device=DEVICE, deployment=DEPLOYMENT)
            sizes.append(np.array([len(encode_wire(mine)) * HOUR_S / each_s]))
            features = 0 if taken.inputs is None else len(taken.inputs.names)
    return figure_from_estimate(
        median_interval(sizes),
        name=NAME,
        case=f"digits, {features} input features, a window of {each_s:g} s",
        compared=("report bytes", "a device-hour"),
        unit="",
        rounds=REPORTS,
        note=f"{np.median(sizes) / HOUR_S * each_s / 1e3:.2f} kB a report of {ROWS_A_REPORT} calls",
    )


def _update_time(cloud: Installation, digests: list[str], tell: Callable[[str], None]) -> Figure:
    """Return how long an update takes."""
    _reach(cloud, digests[0])
    taken_ms = []
    for number, bundle in enumerate(islice(cycle(digests[::-1]), UPDATES)):
        tell(f"agent: update {number + 1} of {UPDATES}")
        taken_ms.append(np.array([1e3 * _reach(cloud, bundle)]))
    return figure_from_estimate(
        median_interval(taken_ms),
        name=NAME,
        case=f"{UPDATES} updates on loopback, no probation",
        compared=("ms from desired to committed", "p50"),
        unit="",
        rounds=UPDATES,
        note=f"at most {np.max(taken_ms) / 1e3:.1f} s",
    )


def _reach(cloud: Installation, bundle: str, *, committed_only: bool = False) -> float:
    """Assign a bundle, and return after how many seconds the device has it for good."""
    began_s = time.monotonic()
    cloud.devices.set_desired(DEVICE, DEPLOYMENT, bundle, by="benchmark", now=_now())
    while time.monotonic() - began_s < DEADLINE_S:
        found = cloud.devices.reported(DEVICE)
        state = None if found is None else found.deployments.get(DEPLOYMENT)
        if state is not None and state.committed == bundle:
            done = state.serving == bundle and state.phase == "idle"
            if done or committed_only:
                return time.monotonic() - began_s
        time.sleep(POLL_S)
    raise MeasurementError(f"the update to {bundle} did not arrive in {DEADLINE_S:g} s")


@contextmanager
def _cloud(place: Path) -> Iterator[tuple[Installation, str]]:
    """Run a cloud; give it, and where it listens."""
    ports = [EmbeddedBroker(place / name).address.port for name in ("one", "other")]
    options = ["--port", str(ports[0]), "--broker-port", str(ports[1])]
    with _running("insight-cloud", "up", "--state", place / "cloud", *options):
        address = f"http://127.0.0.1:{ports[0]}"
        _await(address)
        with open_installation(Settings(state=place / "cloud")) as cloud:
            yield cloud, address


@contextmanager
def _agent(place: Path, *options: str) -> Iterator[int]:
    """Run the agent and give its number."""
    with _running("insight-edge", "agent", "run", "--state", place / "device", *options) as number:
        yield number


@contextmanager
def _application(host: Path, rows: Rows) -> Iterator[None]:
    """Attach a runtime that is asked a hundred times a second."""
    stop = threading.Event()
    with Runtime.attach(host, threads=1) as runtime:

        def ask() -> None:
            for row in cycle(_calls(rows, seed=0)):
                if stop.wait(0.01):
                    return
                runtime.infer(row)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def _running(name: str, *words: str | Path) -> Iterator[int]:
    command = [str(Path(sys.executable).with_name(name)), *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _enrol(place: Path, address: str) -> None:
    token = _call("insight-cloud", "device", "invite", DEVICE, "--state", place / "cloud")
    (place / "token").write_text(token)
    _call("insight-edge", "agent", "enroll", address, "--token-file", place / "token",
          "--deployment", DEPLOYMENT, "--state", place / "device")  # fmt: skip


def _digits(place: Path, profile: str) -> tuple[list[Path], Rows]:
    """Return two bundles of one digits model, and rows to ask with."""
    few = ["--set", "fitting.epochs=1"]
    _call("insight-cloud", "train", ROOT / "examples" / "train.toml", *few, "--export",
          place / "digits", cwd=place)  # fmt: skip
    first, second = place / "first.bundle", place / "second.bundle"
    data = place / "digits" / "data.npz"
    _call("insight-edge", "compile", "-m", place / "digits" / "model.onnx", "--profile", profile,
          "--target", "onnxruntime:fp32", "--calibration", data, "--max-drop", "100",
          "-o", first, cwd=place)  # fmt: skip
    opened = open_bundle(first, allow_unsigned=True)
    version = replace(opened.manifest.model, version=(opened.manifest.model.version or 0) + 1)
    names = [path.name for path in first.iterdir() if path.name != "manifest.json"]
    files = {name: (first / name).read_bytes() for name in names}
    write_bundle(second, replace(opened.manifest, model=version), files)
    with np.load(data) as found:
        inputs = {spec.name for spec in opened.manifest.io.inputs}
        return [first, second], {name: found[name] for name in found.files if name in inputs}


def _calls(rows: Rows, seed: int) -> list[Rows]:
    """Return the rows one by one, in an order of their own."""
    total = len(next(iter(rows.values())))
    order = np.random.default_rng(seed).permutation(total)
    return [{name: array[i : i + 1] for name, array in rows.items()} for i in order]


def _publish(cloud: Installation, bundle: Path) -> str:
    return cloud.releases.publish(bundle, by="Ada", now=_now()).bundle


def _call(name: str, *words: str | Path, cwd: Path | None = None) -> str:
    command = [str(Path(sys.executable).with_name(name)), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise MeasurementError(f"{name} {words[0]} failed: {said[0] if said else done.returncode}")
    return done.stdout


def _await(address: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{address}/openapi.json", timeout=5),  # noqa: S310
        ):
            return
        time.sleep(POLL_S)
    raise MeasurementError("the cloud does not answer")


def _resident_bytes(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return 1024 * int(line.split()[1])


def _processor_ns(process: int) -> int:
    total_ns = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            total_ns += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total_ns


def _host(place: Path) -> Path:
    return deployment_dir(place / "device", DEPLOYMENT)


def _now() -> datetime:
    return datetime.now(UTC)
