# SPDX-License-Identifier: Apache-2.0
"""A challenger: a bundle beside the one that serves, to be compared with it before it may serve.

It repeats calls behind the callers' backs (`shadow`), and nobody is given those answers; and it
answers the calls whose key falls into its share (`share`), where one was asked for. Whatever
fails in it, the serving bundle answers. It has windows of its own, with a report each.
"""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from insight_edge.documents.manifest import Manifest, ranks_classes
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, InsightEdgeError
from insight_edge.runtime.boot import Boot
from insight_edge.runtime.disagreement import Account
from insight_edge.runtime.result import Result
from insight_edge.runtime.serving import Serving
from insight_edge.runtime.shadow import Call, Shadow
from insight_edge.runtime.share import Share
from insight_edge.runtime.swap import Opening, Succession

if TYPE_CHECKING:
    from insight_edge.runtime.isolation import Isolation

DRAIN_TIMEOUT_S = 2.0
"""What hangs in a challenger is not waited for as long as what serves."""

_NEVER_NS = sys.maxsize

Tensors = Mapping[str, NDArray[Any]]


class Challenger:
    """One challenging bundle, until `close`.

    Args:
        boot: of the runtime whose serving bundle it challenges.
        opening: opens the bundle.
        beside: manifest of the serving bundle.
        cpu_share: of one processor, 0 to 1, that repeating calls may take; 0 repeats none.
        share: of the calls with a key that it answers.

    Raises:
        ConfigurationError: the share of the processor is not from 0 to 1, or its inputs and
            outputs are not those of the serving bundle.
        InsightEdgeError: whatever else is wrong with the bundle, as it is.

    Attributes:
        served: what it is.
    """

    def __init__(
        self,
        boot: Boot,
        opening: Opening,
        beside: Manifest,
        *,
        cpu_share: float,
        share: Share,
        isolation: "Isolation | None" = None,
    ) -> None:
        if not 0.0 <= cpu_share <= 1.0:
            raise ConfigurationError(f"a share of {cpu_share} of a processor: from 0 to 1")
        self._share = share
        self._account = Account(ranked=ranks_classes(beside.model.task), share=share.part)
        # One thread: more of them would take more than one processor's time at once.
        self._succession = Succession(
            boot,
            threads=1,
            isolation=isolation,
            drain_timeout_s=DRAIN_TIMEOUT_S,
            account=self._account,
        )
        self._succession.begin(opening, None)
        self.served = self._serving().served
        self._shadow: Shadow | None = None
        try:
            _refuse_unlike(beside, self.served.manifest)
            self._shadow = Shadow(self._repeat, cpu_share) if cpu_share else None
        except BaseException:
            self.close()
            raise

    def answer(self, inputs: Tensors, key: str) -> Result | None:
        """Return its answer to a call of its share; None where the serving bundle must answer."""
        if key not in self._share:
            return None
        serving = self._succession.serving
        lane = None if serving is None else serving.enter()
        if serving is None or lane is None:
            return None
        try:
            result = serving.infer(lane, inputs, key)
        except InsightEdgeError:  # the serving bundle says what is wrong with an input
            self._account.fell_back.add()
            return None
        finally:
            serving.leave(lane)
        self._account.keyed_challenged.add()
        return result

    def see(self, inputs: Tensors, result: Result) -> None:
        """Take note of a call that the serving bundle has answered, and perhaps repeat it."""
        if result.key is not None and self._share.part:
            self._account.keyed_served.add()
        if self._shadow is not None and not self._shadow.offer(
            inputs, result.outputs, result.bundle
        ):
            self._account.dropped.add()

    def close_window(self) -> None:
        """Put the open window on the shelf, unless there is nothing in it."""
        serving = self._succession.serving
        if serving is not None:
            serving.close_window()

    def close(self) -> None:
        """Let callers finish and free everything; a call that hangs keeps its session."""
        if self._shadow is not None:
            for _ in range(self._shadow.end()):
                self._account.dropped.add()
        self._succession.close()

    def _serving(self) -> Serving:
        serving = self._succession.serving
        if serving is None:
            raise ValueError("the challenger is closed")
        return serving

    def _repeat(self, call: Call) -> None:
        clock_ns, cpu_ns = time.monotonic_ns(), time.thread_time_ns()
        try:
            found = self._ask(call.inputs)
            self._account.compared(call.bundle, call.outputs, found.outputs)
        except Exception:  # noqa: BLE001 (whatever a challenger does is counted and harms nobody)
            self._account.failed()
        used_ns = time.thread_time_ns() - cpu_ns  # within the time by the clock
        self._account.spent(time.monotonic_ns() - clock_ns, used_ns)

    def _ask(self, inputs: Tensors) -> Result:
        """Return its answer, which no log of predictions is to hold: nobody was given it."""
        serving = self._serving()
        lane = serving.enter()
        if lane is None:
            raise ValueError("the challenger is closed")
        due_ns, lane.sample_due_ns = lane.sample_due_ns, _NEVER_NS
        try:
            return serving.infer(lane, inputs, None)
        finally:
            lane.sample_due_ns = due_ns
            serving.leave(lane)


def _refuse_unlike(one: Manifest, other: Manifest) -> None:
    """Refuse a bundle that callers of the other could tell from it by more than its answers."""
    for side in ("inputs", "outputs"):
        wanted, found = getattr(one.io, side), getattr(other.io, side)
        if [*map(_face, wanted)] != [*map(_face, found)]:
            raise ConfigurationError(
                f"its {side} are not those of the bundle that serves: "
                f"{_listed(found)}, not {_listed(wanted)}",
                hint="a challenger takes and answers what the serving bundle does; swap to it",
            )


def _face(spec: TensorSpec) -> tuple[str, str, tuple[int | None, ...]]:
    return spec.name, spec.dtype, tuple(d if isinstance(d, int) else None for d in spec.shape)


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{s.name} {s.dtype} ({', '.join(map(str, s.shape))})" for s in specs)
