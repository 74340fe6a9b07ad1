# SPDX-License-Identifier: Apache-2.0
"""Servers of one model, ours and others', each a program of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import serving_forms
from benchmarks.asking import Asker
from benchmarks.serving_forms import Form, Rows, v2_form
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import MeasurementError

ENVIRONMENT = "toolchain-servers"
PROGRAMS = Path(__file__).with_name("servers")
READY_S, POLL_S = 60.0, 0.05
OURS = "insight-edge serve"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A server that is not ours.

    Attributes:
        name: as people know it.
        form: how it is asked.
        command: given the folder of its environment's programs, its own folder, and a port.
    """

    name: str
    form: Form
    command: Callable[[Path, Path, int], list[str]]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers.

    Attributes:
        port: where.
        process: its number; its children's are found by it.
    """

    port: int
    process: int

    @property
    def resident_bytes(self) -> int:
        """Memory of the process and all below it; shared pages count for each."""
        return sum(_resident_bytes(number) for number in _family(self.process))


@contextmanager
def ours(bundle: Path) -> Iterator[Running]:
    """Serve a bundle."""
    program = str(Path(sys.executable).with_name("insight-edge"))
    port = _free_port()
    command = [program, "serve", str(bundle), "--port", str(port), "--name", "model"]
    with _running([*command, "--threads", "1"], bundle.parent, {}, port) as running:
        yield running


@contextmanager
def theirs(
    program: Program, model: Path, shape: tuple[int, ...], folder: Path
) -> Iterator[Running]:
    """Serve an ONNX file.

    Raises:
        ToolchainMissingError: the servers are not installed.
        MeasurementError: it does not answer.
    """
    folder.mkdir()
    port = _free_port()
    command = program.command(environment_python(ENVIRONMENT).parent, folder, port)
    told = {
        "SERVED_MODEL": str(model), "SERVED_SHAPE": json.dumps(shape), "PYTHONPATH": str(PROGRAMS),
        "DO_NOT_TRACK": "1", "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder),
    }  # fmt: skip
    with _running(command, folder, told, port) as running:
        yield running


def check(port: int, form: Form, rows: Rows, expected: Rows) -> None:
    """Ask until the server answers, and compare.

    Raises:
        MeasurementError: it does not answer, or not as the model does.
    """
    deadline_s = time.monotonic() + READY_S
    request = form.request(rows)
    while True:
        try:
            with closing(Asker(port)) as asker:
                found = np.array(form.read(asker(request)), np.float32)
            break
        except (OSError, MeasurementError) as error:
            if time.monotonic() > deadline_s:
                raise MeasurementError(f"a server does not answer: {error}") from error
            time.sleep(POLL_S)
    if not np.allclose(found.ravel(), expected.ravel(), rtol=0, atol=1e-3):
        raise MeasurementError("a server does not answer as the model does")


@contextmanager
def _running(
    command: list[str], folder: Path, told: Mapping[str, str], port: int
) -> Iterator[Running]:
    # In this very session: Linux divides processors between sessions, and so would favour a server.
    with (
        (folder / f"{port}.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=folder, env=os.environ | told,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            yield Running(port=port, process=process.pid)
        finally:
            family = _family(process.pid)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            for number in family:
                with suppress(ProcessLookupError):
                    os.kill(number, 9)


def _mlserver(bin_: Path, folder: Path, port: int) -> list[str]:
    settings = {
        "host": "127.0.0.1", "http_port": port, "grpc_port": _free_port(),
        "metrics_port": _free_port(), "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    model = {"name": "model", "implementation": "mlserver_model.Model"}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(bin_ / "mlserver"), "start", str(folder)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _family(process: int) -> list[int]:
    """Return a process and all below it."""
    found = [process]
    for number in found:
        with suppress(OSError):
            for task in Path(f"/proc/{number}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _resident_bytes(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    found = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(next(found, "0"))


ASGI = Program(
    name="bare ASGI",
    form=serving_forms.RAW,
    command=lambda bin_, _, port: [str(bin_ / "python"), str(PROGRAMS / "asgi_app.py"), str(port)],
)
MLSERVER = Program(name="MLServer", form=v2_form("model"), command=_mlserver)
LITSERVE = Program(
    name="LitServe",
    form=serving_forms.LITSERVE,
    command=lambda bin_, _, port: [
        str(bin_ / "python"), str(PROGRAMS / "litserve_app.py"), str(port),
    ],
)  # fmt: skip
BENTOML = Program(
    name="BentoML",
    form=serving_forms.BENTOML,
    command=lambda bin_, _, port: [
        str(bin_ / "bentoml"), "serve", "bento_service:Service",
        "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(PROGRAMS),
    ],
)  # fmt: skip
