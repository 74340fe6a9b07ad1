# SPDX-License-Identifier: Apache-2.0
"""The page of a choice: whole, quotes what it is given, and needs nothing else."""

import math
from dataclasses import replace
from html.parser import HTMLParser

from insight_edge.documents.target import Target
from insight_edge.selection.choice import choose
from insight_edge.selection.latency import Kind, Latency
from insight_edge.selection.option import Demand, Fleet, Option
from insight_edge.selection.page import page
from insight_edge.selection.plot import Axis, Line, plot
from tests.fakes.selecting import board

DEMAND = Demand(percentile=95.0, rate_per_s=50.0, max_latency_ms=10.0)
VOID = {"meta"}


def option(name: str, kind: Kind, price: float | None) -> Option:
    high = math.inf if kind == "bound" else 2.0
    return Option(
        model="<script>alert(1)</script>",
        profile=board(name, price=price),
        target=Target(backend="onnxruntime", precision="fp32"),
        latency=Latency(p50_ms=1.0, low_ms=0.5, high_ms=high, kind=kind, basis="said"),
        fits="yes",
        rounds_ms=((1.0, 1.1), (0.9, 1.2)) if kind == "measured" else (),
        flops=10**7,
        moved_bytes=10**6,
    )


class Reader(HTMLParser):
    """Follows open elements and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loaded += [name for name, _ in attrs if name in {"src", "href", "onload"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_a_page_is_whole_loads_nothing_and_has_a_table_under_every_plot() -> None:
    options = [
        option("a", "measured", 80.0),
        option("b", "predicted", 40.0),
        option("c", "bound", None),
        replace(option("d", "measured", None), latency=None),
    ]
    text = page(choose(options, DEMAND), DEMAND, Fleet(devices=10))
    found = read(text)
    assert found.seen.count("svg") == found.seen.count("details") == 5
    assert "script" not in found.seen
    assert found.loaded == []
    assert "prefers-color-scheme:dark" in text
    assert "&lt;script&gt;" in text
    assert "price unknown" in text


def test_a_page_of_nothing_known_says_so_in_place_of_plots() -> None:
    nothing = replace(option("a", "predicted", None), latency=None)
    text = page(choose([nothing], DEMAND), DEMAND, Fleet())
    assert "No device keeps to the demands" in text
    assert "Price unknown" in text
    read(text)


def test_what_cannot_be_drawn_is_left_out() -> None:
    line = Line(name="l", points=[(1.0, math.inf), (0.0, 1.0), (2.0, 3.0), (math.nan, 1.0)])
    text = plot([line], Axis(name="x", log=True), Axis(name="y", log=True), "t")
    assert text.count("<circle") == 1
    assert "nan" not in text
    assert "inf" not in text
    read(plot([], Axis(name="x"), Axis(name="y"), "t"))
