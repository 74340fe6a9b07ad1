# SPDX-License-Identifier: Apache-2.0
"""Whatever happens between calls, the counters of all reports add up to the calls made."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from insight_edge.errors import InferenceFailedError, TensorMismatchError, UpdateError
from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import COLUMNS, MatrixEngine, install, tagged_matrix, write_matrix_bundle

MOST_REPORTS = 60


class Counting(RuleBasedStateMachine):
    """One runtime without a state directory, its calls counted beside it, by bundle.

    Reports are taken all the time: on the shelf the oldest of many windows would go.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.engine: MatrixEngine = install(self.patch)
        self.folder = tempfile.TemporaryDirectory()
        self.made: dict[str, Counter[str]] = {}
        self.told: dict[str, Counter[str]] = {}

    @initialize()
    def open(self) -> None:
        place = Path(self.folder.name)
        self.paths = [place / name for name in "ab"]
        for tag, path in enumerate(self.paths):
            write_matrix_bundle(path, tagged_matrix(tag + 1))
        self.runtime = Runtime.open(self.paths[0], allow_unsigned=True, threads=1)

    @rule(rows=st.integers(1, 40))
    def infer(self, rows: int) -> None:
        result = self.runtime.infer({"x": np.zeros((rows, COLUMNS), np.float32)})
        self.count(result.bundle, asked=1, answered=1, observed=rows)

    @rule()
    def fail(self) -> None:
        self.engine.failing = True
        with pytest.raises(InferenceFailedError):
            self.runtime.infer({"x": np.zeros((1, COLUMNS), np.float32)})
        self.engine.failing = False
        self.count(self.serving, asked=1, failed=1)

    @rule()
    def pass_what_does_not_fit(self) -> None:
        """Nothing is counted: the model was not asked."""
        with pytest.raises(TensorMismatchError):
            self.runtime.infer({"x": np.zeros((1, COLUMNS + 1), np.float32)})

    @rule()
    def flush(self) -> None:
        self.runtime._doors.health()

    @rule()
    def take(self) -> None:
        for _ in range(MOST_REPORTS):  # one that counts twice has no last report
            if (report := self.runtime.take_report()) is None:
                return
            counts = report.counts
            told = self.told.setdefault(report.bundle, Counter())
            fields = ("asked", "answered", "failed", "observed", "broken")
            told.update({name: getattr(counts, name) for name in fields})
            assert report.latency.count == counts.answered
            assert report.inputs is not None
            assert report.inputs.count == counts.observed
        raise AssertionError("there is always another report")

    @rule(to=st.sampled_from([0, 1]))
    def swap(self, to: int) -> None:
        self.runtime.swap(self.paths[to])
        self.take()

    @rule()
    def swap_in_vain(self) -> None:
        with pytest.raises(UpdateError):
            self.runtime.swap(Path(self.folder.name) / "absent")

    @invariant()
    def never_more_than_was_asked(self) -> None:
        for bundle, told in self.told.items():
            assert told <= self.made.get(bundle, Counter())

    @property
    def serving(self) -> str:
        served = self.runtime.served
        assert served is not None
        return served.bundle

    def count(self, bundle: str, **more: int) -> None:
        self.made.setdefault(bundle, Counter()).update(more)

    def teardown(self) -> None:
        try:
            if hasattr(self, "runtime"):
                self.runtime.close()
                self.take()
                assert {b: +t for b, t in self.told.items() if +t} == self.made
        finally:
            self.patch.undo()
            self.folder.cleanup()


TestCounting: Any = Counting.TestCase
TestCounting.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # runtimes are too slow to shrink
)
