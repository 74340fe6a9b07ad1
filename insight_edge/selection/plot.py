# SPDX-License-Identifier: Apache-2.0
"""One plot as inline SVG: axes with ticks, lines and points, colours by class alone.

Colours come from the page, so that it is light or dark as its reader is. No script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 44
COLOURS = 8
MOST_TICKS = 7


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series.

    Attributes:
        name: for the legend.
        points: x and y; those that are not finite are left out.
        dots: points are drawn and not joined.
        dashed: for what was not measured.
        colour: 0 to `COLOURS`; the last is grey.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    dashed: bool = False
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: what is on it, and whether by decades."""

    name: str
    log: bool = False

    def span(self, values: Sequence[float]) -> tuple[float, float]:
        """Return both ends, in which all values lie; logarithms where it goes by decades."""
        kept = [self.place(v) for v in values if isfinite(v) and (v > 0 or not self.log)]
        if not kept:
            return 0.0, 1.0
        low, high = min(kept), max(kept)
        if not self.log:
            low = min(low, 0.0)
        room = (high - low) * 0.05 or 0.5
        return (low - room * self.log, high + room)

    def place(self, value: float) -> float:
        """Return where a value lies."""
        return log10(value) if self.log else value

    def ticks(self, span: tuple[float, float]) -> list[tuple[float, str]]:
        """Return places and labels."""
        low, high = span
        step = _step(high - low) if not self.log else 1.0
        if self.log and high - low < 2.2:
            marks = [m * 10.0**p for p in range(floor(low), ceil(high) + 1) for m in (1, 2, 5)]
            found = [(log10(m), f"{m:g}") for m in marks]
        elif self.log:
            every = max(1, ceil((high - low) / MOST_TICKS))
            found = [(float(p), f"{10.0**p:g}") for p in range(ceil(low), floor(high) + 1, every)]
        else:
            first = ceil(low / step)
            found = [(i * step, f"{i * step:.6g}") for i in range(first, floor(high / step) + 1)]
        return [(at, label) for at, label in found if low <= at <= high]


def plot(lines: Sequence[Line], x: Axis, y: Axis, title: str) -> str:
    """Return the SVG of some lines, with a legend below; `title` is for who does not see it."""
    kept = [(line, [p for p in line.points if _drawn(p, x, y)]) for line in lines]
    across = x.span([p[0] for _, points in kept for p in points])
    up = y.span([p[1] for _, points in kept for p in points])

    def at(point: tuple[float, float]) -> tuple[float, float]:
        px = (x.place(point[0]) - across[0]) / (across[1] - across[0])
        py = (y.place(point[1]) - up[0]) / (up[1] - up[0])
        return LEFT + px * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - py * (HEIGHT - TOP - BOTTOM)

    drawn = "".join(_series(line, [at(point) for point in points]) for line, points in kept)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{_axes(x, y, across, up)}{drawn}</svg>{_legend([line for line, _ in kept])}"
    )


def _drawn(point: tuple[float, float], x: Axis, y: Axis) -> bool:
    return all(
        isfinite(value) and (value > 0 or not axis.log)
        for value, axis in zip(point, (x, y), strict=True)
    )


def _series(line: Line, points: Sequence[tuple[float, float]]) -> str:
    colour = f"c{line.colour}"
    if line.dots or len(points) == 1:
        size = 5 if len(points) < 30 else 1.6
        return "".join(
            f'<circle class="{colour}" cx="{px:.1f}" cy="{py:.1f}" r="{size}">'
            f"<title>{escape(line.name)}</title></circle>"
            for px, py in points
        )
    dashes = ' stroke-dasharray="6 4"' * line.dashed
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    return f'<polyline class="{colour}" points="{path}"{dashes}/>' if points else ""


def _axes(x: Axis, y: Axis, across: tuple[float, float], up: tuple[float, float]) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    found = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']
    for place, label in x.ticks(across):
        px = LEFT + (place - across[0]) / (across[1] - across[0]) * (right - LEFT)
        found.append(f'<path class="grid" d="M{px:.1f} {TOP}V{bottom}"/>')
        found.append(f'<text x="{px:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    for place, label in y.ticks(up):
        py = bottom - (place - up[0]) / (up[1] - up[0]) * (bottom - TOP)
        found.append(f'<path class="grid" d="M{LEFT} {py:.1f}H{right}"/>')
        found.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{label}</text>')
    middle = (LEFT + right) / 2
    found.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.name)}</text>'
    )
    centre = (TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 14 {centre})"'
    found.append(f'<text x="14" y="{centre}" {turned}>{escape(y.name)}</text>')
    return "".join(found)


def _legend(lines: Sequence[Line]) -> str:
    seen: dict[str, int] = {}
    for line in lines:
        seen.setdefault(line.name, line.colour)
    items = "".join(
        f'<li><span class="b{colour}"></span>{escape(name)}</li>' for name, colour in seen.items()
    )
    return f'<ul class="legend">{items}</ul>'


def _step(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten that makes few ticks."""
    rough = width / MOST_TICKS
    power = 10.0 ** floor(log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
