# SPDX-License-Identifier: Apache-2.0
"""What a person sees while a compilation runs, on a terminal and in a log."""

import io
import sys

import pytest
from rich.console import Console

from insight_edge.cli.progress import Board, progress
from insight_edge.compile.progress import Rounds, Step


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def shown(board: Board) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=90, color_system=None).print(board)
    # The first character turns.
    return [line.rstrip()[2:] for line in text.getvalue().splitlines()]


def step(token: str, **changes: object) -> Step:
    return Step(**{"token": token, "state": "waiting", "most_s": 900.0, **changes})  # type: ignore[arg-type]  # by name


def test_board_says_what_runs_and_how_long_it_still_takes() -> None:
    clock = Clock()
    board = Board("box", clock=clock)
    assert shown(board) == ["box: reading the model"]
    board.tell("asking the source model")
    assert shown(board) == ["box: asking the source model"]
    board.watch(step("a:fp32", usual_s=10.0))
    board.watch(step("b:int8", usual_s=8.0))
    board.watch(step("a:fp32", usual_s=10.0, state="building"))
    clock.now_s = 4.0
    assert shown(board) == [
        "box: building, 0 of 2 done, about 0:14 left",
        "a:fp32  building  0:04  about 0:06 left",
        "b:int8  waiting",
    ]
    board.watch(step("a:fp32", state="built", build_s=4.4))
    board.watch(step("b:int8", usual_s=8.0, state="building"))
    clock.now_s = 74.0
    assert shown(board) == [
        "box: building, 1 of 2 done, at most 13:50 left",
        "a:fp32  built     0:04",
        "b:int8  building  1:10  at most 13:50 left",
    ]
    board.watch(step("b:int8", state="failed", build_s=3700.0, why="killed by signal 9"))
    board.watch(Step(token="a:fp32", state="asked"))
    board.watch(Rounds(done=0, of=15))
    assert shown(board)[0] == "box: measuring, round 1 of 15"
    clock.now_s = 79.0
    board.watch(Rounds(done=5, of=15))
    assert shown(board) == [
        "box: measuring, round 6 of 15, about 0:10 left",
        "a:fp32  asked      0:04",
        "b:int8  failed  1:01:40  killed by signal 9",
    ]
    board.watch(Rounds(done=15, of=15))
    board.tell("packaging")
    assert shown(board)[0] == "box: packaging"


def test_log_has_a_line_for_each_begin_and_end() -> None:
    text = io.StringIO()
    with progress("box", Console(file=text)) as told:
        told.tell("reading the model")
        told.watch(step("a:fp32"))
        told.watch(step("a:fp32", state="building", usual_s=65.0))
        told.watch(step("a:fp32", state="built", build_s=4.4))
        told.watch(step("b:fp32", state="building"))
        told.watch(step("b:fp32", state="built", build_s=0.0))
        told.watch(step("c:int8", state="failed", build_s=1.0, why="tensor 'x[0]' is odd"))
        told.watch(Rounds(done=0, of=15))
        told.watch(Rounds(done=1, of=15))
    assert text.getvalue().splitlines() == [
        "box: building a:fp32 (usually 1:05)",
        "box: built a:fp32 in 4.4 s",
        "box: building b:fp32 (at most 15:00)",
        "box: built b:fp32 earlier, it is in the cache",
        "box: c:int8 failed after 1.0 s: tensor 'x[0]' is odd",
        "box: measuring for 15 rounds",
    ]


def test_terminal_is_left_as_it_was_and_stdout_is_not_touched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    with progress("box", console) as told:
        told.watch(step("a:fp32", state="building"))
        sys.stdout.write("data\n")
    assert capsys.readouterr().out == "data\n"
    assert "data" not in text.getvalue()
    # The cursor is shown again, and both lines were erased.
    assert "\x1b[?25h" in text.getvalue()
    assert text.getvalue().rstrip("\r").endswith("\x1b[1A\x1b[2K" * 2)
