# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.errors import TensorMismatchError
from insight_edge.runtime.aio import AsyncRuntime
from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import (
    MatrixEngine,
    install,
    one_row,
    tagged_matrix,
    write_matrix_bundle,
)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def runtime(engine: MatrixEngine, tmp_path: Path) -> Iterator[Runtime]:
    for tag in (1, 2):
        write_matrix_bundle(tmp_path / str(tag), tagged_matrix(tag))
    with Runtime.open(tmp_path / "1", allow_unsigned=True, threads=1) as opened:
        yield opened
    assert engine.live == 0
    assert engine.used_after_close == 0


def test_every_task_has_its_own_answer_also_across_swaps(runtime: Runtime, tmp_path: Path) -> None:
    async def ask() -> None:
        async with AsyncRuntime(runtime, callers=3) as several:
            first = (await several.infer(one_row())).bundle
            tag_of = {first: 1}

            async def one(value: int) -> None:
                result = await several.infer(one_row(float(value)), key=f"{value}")
                seen = float(result.outputs["y"][0, 0]) / value
                assert tag_of.setdefault(result.bundle, round(seen)) == pytest.approx(seen)
                assert result.key == f"{value}"

            calls = [asyncio.ensure_future(one(value)) for value in range(1, 60)]
            record = await several.swap(tmp_path / "2")
            calls += [asyncio.ensure_future(one(value)) for value in range(1, 60)]
            await asyncio.gather(*calls)
            assert tag_of == {first: 1, record.target: 2}

    asyncio.run(ask())
    reports = list(iter(runtime.take_report, None))
    assert sum(report.counts.answered for report in reports) == 119


def test_no_more_calls_are_made_at_once_than_there_are_callers(
    runtime: Runtime, engine: MatrixEngine
) -> None:
    async def ask() -> None:
        async with AsyncRuntime(runtime, callers=2) as several:
            engine.gate.clear()
            calls = [asyncio.ensure_future(several.infer(one_row())) for _ in range(6)]
            for _ in range(2):
                await asyncio.to_thread(engine.inside.acquire)
            assert not await asyncio.to_thread(engine.inside.acquire, timeout=0.05)
            engine.gate.set()
            await asyncio.gather(*calls)

    while engine.inside.acquire(blocking=False):
        pass
    asyncio.run(ask())


def test_cancelled_task_gives_its_place_back_and_makes_no_call_that_waited(
    runtime: Runtime, engine: MatrixEngine
) -> None:
    async def ask() -> None:
        async with AsyncRuntime(runtime, callers=1) as several:
            engine.gate.clear()
            under_way = asyncio.ensure_future(several.infer(one_row()))
            await asyncio.to_thread(engine.inside.acquire)
            waiting = [asyncio.ensure_future(several.infer(one_row())) for _ in range(5)]
            await asyncio.sleep(0)
            for task in (under_way, *waiting):
                task.cancel()
            found = await asyncio.gather(under_way, *waiting, return_exceptions=True)
            assert {type(each) for each in found} == {asyncio.CancelledError}
            engine.gate.set()
            assert (await several.infer(one_row())).outputs["y"][0, 0] == 1

    while engine.inside.acquire(blocking=False):
        pass
    asyncio.run(ask())
    report = runtime.take_report()
    assert report is not None
    assert (report.counts.asked, report.counts.answered) == (2, 2)


def test_what_a_call_raises_comes_out_and_places_last(runtime: Runtime) -> None:
    async def ask() -> None:
        several = AsyncRuntime(runtime, callers=1)
        for _ in range(3):
            with pytest.raises(TensorMismatchError):
                await several.infer({})
        assert (await several.infer(one_row())).outputs["y"][0, 0] == 1
        await several.close()
        with pytest.raises(RuntimeError):
            await several.infer(one_row())

    asyncio.run(ask())
    with pytest.raises(ValueError, match="at least 1"):
        AsyncRuntime(runtime, callers=0)
