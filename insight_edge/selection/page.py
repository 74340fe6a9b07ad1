# SPDX-License-Identifier: Apache-2.0
"""A choice as one HTML page that needs nothing else: no script, no font, no network.

Light or dark as its reader's system is. Every plot has its numbers in a table under it,
which a keyboard opens.
"""

from collections.abc import Sequence
from html import escape

from insight_edge.selection.choice import Choice, best_first
from insight_edge.selection.option import Demand, Fleet
from insight_edge.selection.plots import (
    Cells,
    Drawn,
    distribution,
    over_time,
    pareto,
    roofline,
    shown,
    throughput,
)
from insight_edge.selection.sentences import (
    answer,
    bargain,
    caveats,
    cost_told,
    demand_told,
    fleet_told,
    miss,
    response_told,
    standing,
)
from insight_edge.selection.weighing import Weighed

LIGHT = (
    "#0b62c4",
    "#c2410c",
    "#15803d",
    "#7c3aed",
    "#b0116a",
    "#0e7490",
    "#854d0e",
    "#3f3f46",
    "#64748b",
)
DARK = (
    "#6db3ff",
    "#ff9b6b",
    "#6ee7a0",
    "#c4a5ff",
    "#ff8fc7",
    "#67d8ef",
    "#e6c15c",
    "#f1f5f9",
    "#94a3b8",
)
"""Of series, told apart on the page's ground; the last is of what is none."""


def _palette(colours: Sequence[str]) -> str:
    return "".join(f"--c{index}:{colour};" for index, colour in enumerate(colours))


def _classes() -> str:
    return "".join(
        f"polyline.c{i}{{stroke:var(--c{i})}}circle.c{i}{{fill:var(--c{i})}}"
        f".b{i}{{background:var(--c{i})}}"
        for i in range(len(LIGHT))
    )


STYLE = (
    ":root{color-scheme:light dark;--ground:#fff;--ink:#1b2430;--soft:#566376;--line:#d5dbe3;"
    f"--mark:#eef5ff;{_palette(LIGHT)}}}"
    "@media(prefers-color-scheme:dark){:root{--ground:#12171e;--ink:#e6ebf2;--soft:#a3afbf;"
    f"--line:#333d4a;--mark:#1b2a3d;{_palette(DARK)}}}}}"
    "body{font:15px/1.5 system-ui,sans-serif;background:var(--ground);color:var(--ink);"
    "margin:0 auto;max-width:1080px;padding:24px}"
    "h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:32px 0 4px}"
    "p{margin:4px 0;max-width:80ch}.soft{color:var(--soft)}"
    ".answer{font-size:17px;background:var(--mark);padding:12px 16px;border-radius:8px;"
    "margin:16px 0}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:8px 0}"
    "th,td{border-bottom:1px solid var(--line);padding:4px 12px 4px 0;text-align:left;"
    "vertical-align:top}tr.won{background:var(--mark);font-weight:600}"
    ".wide{overflow-x:auto}svg{width:100%;max-width:860px;height:auto;display:block}"
    "svg text{font-size:12px;fill:var(--soft)}.axis{stroke:var(--soft);fill:none}"
    ".grid{stroke:var(--line);fill:none}polyline{fill:none;stroke-width:2}"
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;padding:0;margin:4px 0;"
    "font-size:13px}.legend span{display:inline-block;width:12px;height:12px;border-radius:3px;"
    "margin-right:6px;vertical-align:-1px}"
    "summary{cursor:pointer;color:var(--c0)}summary:focus-visible{outline:2px solid var(--c0)}"
    + _classes()
)


HEAD = (
    "model",
    "device",
    "target",
    "p50 ms",
    "which is",
    "response ms",
    "fleet USD",
    "power W",
    "form factor",
    "demands",
)


def page(choice: Choice, demand: Demand, fleet: Fleet) -> str:
    """Return the page of a choice."""
    options = shown(choice)
    drawn = [
        pareto(choice, options),
        distribution(options),
        throughput(options, demand),
        roofline(options),
        over_time(options),
    ]
    apart = "".join(f"<p>{escape(words)}</p>" for words in caveats(choice, demand))
    told = [f"<li>{escape(bargain(one))}</li>" for one in choice.relaxed if one.gain is not None]
    told += [f"<li>{escape(miss(one))}</li>" for one in choice.relaxed if one.gain is None]
    heading = "What each demand costs" if choice.winner else "The nearest miss of each demand"
    relaxed = f"<h2>{heading}</h2><ul>{''.join(told)}</ul>" if told else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Which device</title><style>{STYLE}</style></head><body><main>"
        f"<h1>Which device</h1><p class=soft>Demands: {escape(demand_told(demand))}. "
        f"Cost: {escape(fleet_told(fleet))}.</p>"
        f'<p class="answer">{escape(answer(choice))}</p>{apart}{_options(choice)}{relaxed}'
        f"{''.join(map(_section, drawn))}</main></body></html>\n"
    )


def _options(choice: Choice) -> str:
    ordered = best_first(choice)
    rows = "".join(_option(one, won=one is choice.winner) for one in ordered)
    cells = "".join(f"<th scope=col>{name}</th>" for name in HEAD)
    return (
        f'<h2>Options</h2><div class="wide" tabindex="0" role="region" aria-label="Options">'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _option(one: Weighed, *, won: bool) -> str:
    option, latency = one.option, one.option.latency
    least = "≥ " if latency is not None and latency.kind == "bound" else ""
    span = ""
    if latency is not None and not least:
        span = f" [{latency.low_ms:.3g}, {latency.high_ms:.3g}]"
    cells = [
        option.model,
        option.profile.id,
        option.target.token,
        "-" if latency is None else f"{least}{latency.p50_ms:.3g}{span}",
        latency.kind if latency else "not known",
        response_told(one),
        cost_told(one),
        "-" if option.power_w is None else f"{option.power_w:g}",
        option.form_factor or "-",
        standing(one),
    ]
    row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="won">{row}</tr>' if won else f"<tr>{row}</tr>"


def _section(one: Drawn) -> str:
    table = _table(one.head, one.rows) if one.rows else ""
    return (
        f"<section><h2>{escape(one.title)}</h2>"
        f"<p class=soft>{escape(one.told)}</p>{one.svg}{table}</section>"
    )


def _table(head: Sequence[str], rows: Cells) -> str:
    top = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        "<details><summary>The numbers</summary><div class=wide>"
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )
