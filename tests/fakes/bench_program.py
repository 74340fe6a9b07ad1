# SPDX-License-Identifier: Apache-2.0
"""Stands in for `insight-edge bench`, and does as it is told: `python ... MODE LOG bench DIR ...`.

It adds its number to the file LOG when it begins. Modes:

    well       leaves results, as it should
    doubtful   leaves results and exits 3
    gated      waits until LOG.go is there, then `well`
    hang       starts a child that leaves its group, and waits for ever
    fail       says why it cannot, and exits 1
    killed     is killed, as for want of memory
    told       is told to end, as when a machine is shut down
    babble     says a megabyte that is no error, then `fail`
    silent     leaves nothing, and exits 0
    garbage    leaves something else than results
    other      leaves results of another bundle
    more       leaves results of a variant that nobody asked for
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.documents.evidence import Interval, Measurement, Noise
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import Manifest
from insight_edge.documents.result import BenchResult, artifact_digest

HOST = Facts(arch="x86_64", cpu_model="fake", isa=(), cores=1, memory_bytes=1, os="linux")
MEASUREMENT = Measurement(
    region="infer",
    iterations=4,
    rounds=2,
    threads=1,
    p50_ms=Interval(value=1.0, low=0.9, high=1.1),
    mean_ms=1.0,
    load_ms=1.0,
    first_ms=1.0,
    peak_rss_bytes=1,
    noise=Noise(load_1min=0.0, steal_share=0.0, involuntary_switches=0, round_spread=0.0),
    verdict="VALID",
)


def command(mode: str, log: Path) -> tuple[str, ...]:
    """Return the program that a runner is to take for `insight-edge`."""
    return (sys.executable, str(Path(__file__)), mode, str(log))


def runs(log: Path) -> list[int]:
    """Return the numbers of the processes that began."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def results_of(
    manifest: bytes, variants: Sequence[str], device: str, *, samples: int = 4
) -> list[BenchResult]:
    """Return results as `bench` would leave them."""
    found = decode_json(Manifest, manifest)
    by_name = {one.name: one for one in found.variants}
    return [
        BenchResult(
            run="r1",
            at_s=1.0,
            release="0.1.0",
            device=device,
            host=HOST,
            profile=found.profile,
            model=found.model,
            bundle=digest(manifest),
            variant=name,
            target=by_name[name].target,
            artifact=artifact_digest(by_name[name].files),
            measurement=MEASUREMENT,
            rounds_p50_ms=(1.0, 1.0),
            samples_ms=((1.0,) * (samples // 2), (1.0,) * (samples // 2)),
        )
        for name in variants
    ]


def _leave(mode: str, bundle: Path, flags: list[str]) -> None:
    told = [flag.removeprefix("--").partition("=") for flag in flags if "=" in flag]
    asked = [value for name, _, value in told if name == "variant"]
    (device,) = (value for name, _, value in told if name == "device")
    (output,) = (value for name, _, value in told if name == "output")
    manifest = (bundle / "manifest.json").read_bytes()
    results = results_of(manifest, asked, device)
    if mode == "other":
        manifest = manifest.replace(b'"tolerance":', b'"tolerance": ')
        results = results_of(manifest, asked, device)
    if mode == "more":
        results = results[:1] * 2
    data = b"".join(encode_json(one) + b"\n" for one in results)
    Path(output).write_bytes(b"{}\nnot JSON\n" if mode == "garbage" else data)


def main() -> int:
    mode, log, verb, bundle, *flags = sys.argv[1:]
    assert verb == "bench"
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    pause = threading.Event()
    if mode == "gated":
        while not Path(f"{log}.go").exists():
            pause.wait(0.02)
    if mode == "hang":
        waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        with subprocess.Popen(waiting, stdin=subprocess.PIPE, start_new_session=True) as child:
            with Path(log).open("a") as file:
                file.write(f"{child.pid}\n")
            pause.wait()
    if mode in {"killed", "told"}:
        os.kill(os.getpid(), signal.SIGKILL if mode == "killed" else signal.SIGTERM)
    if mode == "babble":
        sys.stderr.write("warning: all is well\n" * 50_000)
    if mode in {"fail", "babble"}:
        sys.stderr.write("error: first\nsomething\nerror: the engine is on holiday\nhint: wait\n")
        return 1
    if mode != "silent":
        _leave(mode, Path(bundle), flags)
    return 3 if mode == "doubtful" else 0


if __name__ == "__main__":
    sys.exit(main())
