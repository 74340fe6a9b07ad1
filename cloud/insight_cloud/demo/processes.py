# SPDX-License-Identifier: Apache-2.0
"""The processes of the demo: a cloud, agents and applications, each with a log file.

They are the ordinary programs. Nothing is decided here; ending one is a polite
request first, and a kill where that is not heard.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import msgspec

from insight_cloud.demo import application
from insight_cloud.demo.programs import BIN, ProgramError

START_S = 60.0
END_S = 30.0
POLL_S = 0.1


class Process:
    """A program that runs beside the demo; what it says is in its log."""

    def __init__(
        self, name: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.log = name, log
        self._command, self._environment = command, {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process, None where it does not run."""
        return self._process.pid if self.runs and self._process else None

    @property
    def runs(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demo, which ends them in order
            )

    def tell(self, line: str) -> None:
        """Write a line to its standard input.

        Raises:
            ProgramError: it has ended.
        """
        if self._process is None or self._process.stdin is None:
            raise ProgramError(f"{self.name} does not run")
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ProgramError(f"{self.name} has ended: {self.last_words()}") from error

    def expect(self, word: str) -> None:
        """Wait until it says a word.

        Raises:
            ProgramError: it says something else, or ends.
        """
        output = self._process.stdout if self._process else None
        said = output.readline().strip() if output else ""
        if said != word:
            raise ProgramError(f"{self.name} said '{said}', not '{word}': {self.last_words()}")

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._close()

    def end(self) -> None:
        """Let it end in good order: its standard input ends, then it is asked to."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def finish(self) -> None:
        """Let it end by itself once its standard input has; kill it where it does not."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = (
            self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else ()
        )
        return lines[-1] if lines else "it said nothing"

    def _close(self) -> None:
        if self._process is not None:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None


def cloud(folder: Path, ports: tuple[int, int], segment_rows: int) -> Process:
    """Return a whole cloud, as `insight-cloud up` runs it."""
    words = ["up", "--state", str(folder / "cloud")]
    doors = ["--port", str(ports[0]), "--broker-port", str(ports[1])]
    return Process(
        "the cloud",
        [str(BIN / "insight-cloud"), *words, *doors],
        folder / "logs" / "cloud.log",
        {"INSIGHT_CLOUD_SEGMENT_ROWS": str(segment_rows)},
    )


def agent(folder: Path, device: str, window_s: float, probation_s: float) -> Process:
    """Return the agent of a device that is enrolled."""
    options = ["--window-s", f"{window_s:g}", "--probation-s", f"{probation_s:g}"]
    command = [str(BIN / "insight-edge"), "agent", "run", "--state", str(folder / device)]
    return Process(
        f"the agent of {device}", [*command, *options], folder / "logs" / f"{device}.log"
    )


def customer(folder: Path, device: str, setup: application.Setup) -> Process:
    """Return the application of a device, started and told what to do."""
    # It reads no arguments: whoever ends what was left running finds it by its folder.
    command = [sys.executable, "-m", "insight_cloud.demo.application", str(folder / device)]
    made = Process(f"the application of {device}", command, folder / "logs" / f"{device}-app.log")
    made.start()
    made.tell(msgspec.json.encode(setup).decode())
    return made


def enrol(state: Path, token: str, profile: str, address: str, deployment: str) -> None:
    """Enrol a device that was invited, as its owner does.

    Raises:
        ProgramError: the program refused.
    """
    done = subprocess.run(
        [BIN / "insight-edge", "agent", "enroll", address, "--state", state,
         "--profile", profile, "--deployment", deployment],
        input=token, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ProgramError(f"{state.name} was not enrolled: {done.stderr}")


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports of loopback that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = tuple(one.getsockname()[1] for one in sockets)
    for one in sockets:
        one.close()
    return ports


def await_door(address: str, process: Process) -> None:
    """Wait until the cloud answers.

    Raises:
        ProgramError: it ended, or does not.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if not process.runs:
            raise ProgramError(f"{process.name} ended: {process.last_words()}")
        try:
            with urllib.request.urlopen(f"{address}/openapi.json", timeout=5):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(POLL_S)
    raise ProgramError(f"{process.name} does not answer at {address}")


def kill_child(process: Process, module: str) -> bool:
    """Kill the child of a process that runs a module; False where there is none just now."""
    for pid in descendants(process.pid or 0):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if module.encode() in words:
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those they have."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found
