# SPDX-License-Identifier: Apache-2.0
"""MetaSchedule within a time budget: each kernel's records are kept and shared by all builds.

A kernel is known by its structure and the processor, not by the model or its
weights, so a retrained model finds everything tuned (`tvm_records`). Each record
is written when it is measured, so a killed build has lost only the batch that it
was in. Kernels with open shapes cannot be tuned.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from insight_edge.compile.backends.tvm_records import Records

FIRST_CANDIDATES = 8
MOST_CANDIDATES = 64
POPULATION = 64

TIMEOUT_S = 30

SEED = 42


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What tuning left.

    Attributes:
        module: with the best known schedule of every kernel that has one.
        tuned: kernels that have one.
        kernels: all of them.
        hint: what would tune the others, in words that end a sentence.
    """

    module: Any
    tuned: int
    kernels: int
    hint: str


@dataclass(kw_only=True)
class _Kernel:
    """One task: a kernel, how often the model calls it, and what is known of it."""

    task: Any
    records: Records
    flops: float
    batches: int = 0
    best_s: float | None = None
    candidate_s: float = 0.0
    cost_model: Any = field(default=None)

    @property
    def urgency(self) -> float:
        """Of two kernels the one to be tuned next has more."""
        weight = float(self.task.weight)
        if self.best_s is None:
            return float("inf") if self.batches == 0 else 0.0
        return weight * self.best_s / (1 + self.batches)


def tune(module: Any, target: Any, *, store: Path | None, budget_s: float, here: bool) -> Tuning:
    """Return a module's kernels with the best schedules known, after looking for better ones.

    Args:
        module: lowered to kernels.
        target: of TVM.
        store: what is kept between builds; None for nothing.
        budget_s: how long to look; a batch that has begun is finished.
        here: whether this machine can measure what is compiled for the target.
    """
    if store is None and (budget_s <= 0 or not here):
        kernels = _tasks(module, target)
        return Tuning(module=module, tuned=0, kernels=len(kernels), hint=_hint(kernels, here=here))
    with TemporaryDirectory() as scratch:
        kernels = _kernels(module, target, store or Path(scratch))
        if budget_s > 0 and here:
            _spend(kernels, target, budget_s)
        return _applied(module, target, kernels, here=here)


def _hint(tasks: Sequence[Any], *, here: bool) -> str:
    if not here:
        return ": tuning measures, which needs a machine of that kind"
    if any(_open(task) for task in tasks):
        return ": those with open shapes cannot be, give the model fixed ones"
    return " (--tuning 300 goes on for five minutes)"


def _tasks(module: Any, target: Any) -> list[Any]:
    from tvm.s_tir import meta_schedule

    return list(meta_schedule.relax_integration.extract_tasks(module, _measuring(target)))


def _measuring(target: Any) -> Any:
    """Return the target with the number of processors, which MetaSchedule lays loops out for."""
    import tvm

    known = {key: value for key, value in target.export().items() if key not in {"keys", "tag"}}
    return tvm.target.Target(known | {"num-cores": len(os.sched_getaffinity(0))})


def _open(task: Any) -> bool:
    """Return whether a buffer of the kernel has a size that is not known, or one is no buffer.

    MetaSchedule measures neither. A kernel that takes a bare number is how a size of the graph
    or a constant mask comes to be computed with.
    """
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    try:
        ArgInfo.from_prim_func(task.dispatched[0]["main"])
    except (TypeError, ValueError):
        return True
    return False


def _kernels(module: Any, target: Any, store: Path) -> list[_Kernel]:
    import tvm
    import tvm_ffi
    from tvm.s_tir.analysis import estimate_tir_flops

    kind = sha256(f"{tvm.__version__} {_measuring(target)}".encode()).hexdigest()[:16]
    kernels = []
    for task in _tasks(module, target):
        structure = tvm_ffi.structural_hash(task.dispatched[0]) % 2**64
        folder = store / kind / f"{task.task_name[:60]}-{structure:016x}"
        flops = 0.0 if _open(task) else float(estimate_tir_flops(task.dispatched[0]))
        records = Records(kernel=task.dispatched[0], folder=folder)
        kernels.append(_Kernel(task=task, records=records, flops=flops * task.weight))
    return sorted(kernels, key=lambda kernel: (-kernel.flops, kernel.records.folder.name))


def _spend(kernels: Sequence[_Kernel], target: Any, budget_s: float) -> None:
    """Give every kernel that has no record a batch of candidates, then the slowest more.

    One batch is done however slow this machine is at the moment.
    """
    from tvm.s_tir import meta_schedule

    os.environ["TVM_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
    without_intrinsics()
    builder = meta_schedule.builder.LocalBuilder(
        max_workers=len(os.sched_getaffinity(0)),
        timeout_sec=TIMEOUT_S,
        initializer=without_intrinsics,
    )
    closed = [kernel for kernel in kernels if not _open(kernel.task)]
    for kernel in closed:
        kernel.best_s = kernel.records.best_s()
    runner = meta_schedule.runner.LocalRunner(
        timeout_sec=TIMEOUT_S,
        evaluator_config=meta_schedule.runner.EvaluatorConfig(number=3, min_repeat_ms=20),
    )
    deadline = time.monotonic() + budget_s
    while closed:
        kernel = max(closed, key=lambda kernel: kernel.urgency)
        count = _candidates(kernel, deadline)
        if kernel.urgency <= 0 or count < 1:
            break
        _batch(kernel, target, (builder, runner), count)
        _tell(closed, kernel, deadline)
        if time.monotonic() >= deadline:
            break


def _candidates(kernel: _Kernel, deadline: float) -> int:
    """Return how many candidates to try next: more each time, but none beyond the deadline."""
    if not kernel.batches:
        return FIRST_CANDIDATES
    affordable = int((deadline - time.monotonic()) / kernel.candidate_s)
    return int(min(FIRST_CANDIDATES * 2**kernel.batches, MOST_CANDIDATES, affordable))


def without_intrinsics() -> None:
    """Keep TVM from reading its tensor instructions, which FP32 on a CPU has no use for.

    That takes 28 seconds of a processor, most of them for GPUs, in every process that builds
    candidates: with the 30 that each is given, on a busy machine none was ever built.
    """
    module = "tvm.s_tir.tensor_intrin"
    sys.modules.setdefault(module, ModuleType(module))


def _batch(kernel: _Kernel, target: Any, pools: tuple[Any, Any], count: int) -> None:
    from tvm.s_tir import meta_schedule

    kernel.cost_model = kernel.cost_model or meta_schedule.CostModel.create("xgb")
    context = meta_schedule.TuneContext(
        mod=kernel.task.dispatched[0],
        target=_measuring(target),
        # The rules for VNNI or dot products ask for the instructions that are kept away.
        space_generator="llvm",
        search_strategy=_strategy(kernel),
        task_name=kernel.task.task_name,
        rand_state=SEED + kernel.batches,
        num_threads=len(os.sched_getaffinity(0)),
    ).clone()
    began = time.monotonic()
    with kernel.records.held():
        meta_schedule.tune.tune_tasks(
            tasks=[context],
            task_weights=[1.0],
            work_dir=str(kernel.records.folder),
            max_trials_global=count,
            num_trials_per_iter=count,
            builder=pools[0],
            runner=pools[1],
            database=kernel.records.database(),
            cost_model=kernel.cost_model,
            task_scheduler="round-robin",
        )
    kernel.batches += 1
    kernel.candidate_s = (time.monotonic() - began) / count
    kernel.best_s = kernel.records.best_s()


def _strategy(kernel: _Kernel) -> Any:
    """Return how candidates are found: drawn at first, bred from the best once there are some.

    MetaSchedule's own population of 512 takes most of a minute of a processor for each batch, in
    which more can be learned by measuring.
    """
    from tvm.s_tir.meta_schedule import search_strategy

    if kernel.best_s is None:
        return search_strategy.ReplayTrace()
    return search_strategy.EvolutionarySearch(
        population_size=POPULATION, init_min_unmeasured=FIRST_CANDIDATES, genetic_num_iters=2
    )


def _tell(kernels: Sequence[_Kernel], kernel: _Kernel, deadline: float) -> None:
    known = sum(kernel.best_s is not None for kernel in kernels)
    best = "no candidate ran" if kernel.best_s is None else f"best {kernel.best_s * 1e3:.3g} ms"
    left = max(0.0, deadline - time.monotonic())
    print(  # noqa: T201 (the log of the build)
        f"tuned {known}/{len(kernels)} kernels: {kernel.task.task_name}, batch {kernel.batches}: "
        f"{best}; {left:.0f} s left",
        flush=True,
    )


def _applied(module: Any, target: Any, kernels: Sequence[_Kernel], *, here: bool) -> Tuning:
    """Return the module with the best record of every kernel."""
    from tvm import relax
    from tvm.s_tir import meta_schedule

    known = meta_schedule.database.MemoryDatabase()
    tuned = 0
    for kernel in kernels:
        with kernel.records.held():
            record = kernel.records.best()
        if record is not None:
            known.commit_workload(record.workload.mod)
            known.commit_tuning_record(record)
            tuned += 1
    with _measuring(target), known:
        module = relax.transform.MetaScheduleApplyDatabase(enable_warning=False)(module)
    hint = _hint([kernel.task for kernel in kernels], here=here)
    return Tuning(module=module, tuned=tuned, kernels=len(kernels), hint=hint)
