# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a runtime in whatever order, no call is dropped and no answer is mixed.

Callers run in threads of their own throughout. A bundle's answers are its tag, so an answer that
does not fit the digest beside it was mixed; a session that is closed twice, used afterwards or
left open is counted by the engine.
"""

import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from insight_edge.documents.report import Report
from insight_edge.errors import InferenceFailedError, TensorMismatchError, UpdateError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Result
from tests.fakes.matrix import (
    CLASSES,
    COLUMNS,
    MatrixEngine,
    install,
    one_row,
    tagged_matrix,
    write_matrix_bundle,
)

TAGS = (1.0, 2.0, 3.0)
CALLERS = 2
tags = st.sampled_from(TAGS)


class RuntimeMachine(RuleBasedStateMachine):
    """A runtime, two callers that never stop, and what is done to it meanwhile."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        self.engine: MatrixEngine = install(self.patch)
        self.tag_of = {
            write_matrix_bundle(self.place / str(tag), tagged_matrix(tag)): tag for tag in TAGS
        }
        broken = tagged_matrix(9)
        write_matrix_bundle(self.place / "broken", broken, answers_of=broken * 2)
        self.runtime = Runtime.open(self.place / "1.0", allow_unsigned=True, threads=1)
        self.results: list[list[Result]] = [[] for _ in range(CALLERS + 1)]
        self.faults: list[BaseException] = []
        self.failing: float | None = None
        self.failed = self.given_up = 0
        self.closed = False
        self.engine.spoil = self._spoil
        self.done = threading.Event()
        self.callers = [
            threading.Thread(target=self._call, args=(own,)) for own in self.results[1:]
        ]
        for caller in self.callers:
            caller.start()

    def _spoil(self, matrix: "object", x: "object") -> None:
        del x
        if self.failing is not None and matrix[0, 0] * COLUMNS == self.failing:  # type: ignore[index]  # an array
            raise ArithmeticError("planted")

    def _call(self, own: list[Result]) -> None:
        number = 0
        while not self.done.is_set():
            number += 1
            try:
                own.append(
                    self.runtime.infer(one_row(), key=f"{number % 7}" if number % 2 else None)
                )
            except InferenceFailedError:
                self.given_up += 1  # of what was planted; a race loses none that matters
            except ValueError:
                return  # closed
            except BaseException as error:  # noqa: BLE001 - told by an invariant
                self.faults.append(error)
                return

    @precondition(lambda self: not self.closed)
    @rule(key=st.none() | st.text(max_size=3))
    def infer(self, key: str | None) -> None:
        if self.failing is None:
            result = self.runtime.infer(one_row(), key)
            assert result.key == key
            self.results[0].append(result)

    @precondition(lambda self: not self.closed)
    @rule(tag=tags)
    def swap(self, tag: float) -> None:
        if tag == self.failing:
            with pytest.raises(UpdateError):
                self.runtime.swap(self.place / str(tag))
        else:
            self.runtime.swap(self.place / str(tag))

    @precondition(lambda self: not self.closed)
    @rule()
    def swap_to_one_that_is_wrong(self) -> None:
        served = self.runtime.served
        with pytest.raises(UpdateError):
            self.runtime.swap(self.place / "broken")
        assert self.runtime.served == served

    @precondition(lambda self: not self.closed)
    @rule(tag=tags, share=st.sampled_from((0.0, 0.5, 1.0)), cpu_share=st.sampled_from((0.0, 0.5)))
    def challenge(self, tag: float, share: float, cpu_share: float) -> None:
        before = self.runtime.challenger
        try:
            self.runtime.challenge(self.place / str(tag), share=share, cpu_share=cpu_share)
        except InferenceFailedError:
            assert tag == self.failing
            assert self.runtime.challenger == before

    @precondition(lambda self: not self.closed)
    @rule()
    def unchallenge(self) -> None:
        self.runtime.unchallenge()
        assert self.runtime.challenger is None

    @precondition(lambda self: not self.closed)
    @rule(tag=tags)
    def fail(self, tag: float) -> None:
        self.failing = tag

    @rule()
    def recover(self) -> None:
        self.failing = None

    @precondition(lambda self: not self.closed)
    @rule()
    def wrong_input(self) -> None:
        with pytest.raises(TensorMismatchError):
            self.runtime.infer({"other": one_row()["x"]}, key="k")

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self) -> None:
        self.runtime.close()
        self.closed = True
        with pytest.raises(ValueError, match="closed"):
            self.runtime.infer(one_row())

    @invariant()
    def nothing_is_dropped_or_mixed(self) -> None:
        assert self.faults == []
        for own in self.results:
            for result in own[-50:]:
                assert result.outputs["y"].shape == (1, CLASSES)
                assert float(result.outputs["y"][0, 0]) == self.tag_of[result.bundle]

    def teardown(self) -> None:
        try:
            self.done.set()
            for caller in self.callers:
                caller.join()
            self.failing = None
            self.runtime.close()
            self._sum_up(list(iter(self.runtime.take_report, None)))
        finally:
            self.patch.undo()
            shutil.rmtree(self.place)

    def _sum_up(self, reports: list[Report]) -> None:
        answers = [result for own in self.results for result in own]
        assert self.faults == []
        assert len({result.id for result in answers}) == len(answers)
        assert self.engine.live == 0
        assert self.engine.used_after_close == 0
        told: Counter[tuple[str, str]] = Counter()
        for report in reports:
            counts, beside = report.counts, report.challenge
            assert counts.asked == counts.answered + counts.failed
            assert counts.broken == 0
            repeated = 0 if beside is None else beside.compared
            told[report.bundle, report.role] += counts.answered - repeated
        seen = Counter((result.bundle, result.role) for result in answers)
        told.subtract(seen)
        assert {each: count for each, count in told.items() if count} == {}


RuntimeMachine.TestCase.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
TestRuntime = RuntimeMachine.TestCase
