# SPDX-License-Identifier: Apache-2.0
"""What a comparison says, in one sentence for people: pure."""

from insight_edge.documents.evidence import Comparison

MANY_LAUNCHES = 500
"""More are never asked for; then it is the machine that has to be quieter."""


def sentence_of(found: Comparison) -> str:
    """Return which is faster, by how much and how sure that is; or what is lacking."""
    if found.verdict == "INVALID":
        return f"Nothing can be said of {found.b}: {found.reasons[0]}."
    if found.verdict == "no difference":
        told = f"does not differ from {found.a} by {_percent(found.same)} or more"
        return f"{found.b} {told}: {_quantity(found)} is {_between(found)} ({_sure(found)})."
    if found.verdict == "NOISY":
        told = f"Whether {found.b} or {found.a} is faster cannot be told"
        range_ = f"{_quantity(found)} of {found.b} is {_between(found)} ({_sure(found)})"
        return f"{told}: {range_}. {_remedy(found)}."
    told = f"{found.b} is {found.verdict} than {found.a}"
    by = f"{_quantity(found)} is {_off(found.ratio.value)}, {_between(found)}"
    return f"{told}: {by} ({_sure(found)}, p = {found.p_value:.2g})."


def _quantity(found: Comparison) -> str:
    return f"its {found.statistic}" if found.verdict != "NOISY" else f"the {found.statistic}"


def _between(found: Comparison) -> str:
    low, high = found.ratio.low, found.ratio.high
    if (low < 1) == (high < 1):
        nearer, further = sorted((abs(low - 1), abs(high - 1)))
        return f"between {_number(nearer)} and {_percent(further)} {_word(low)}"
    return f"between {_off(low)} and {_off(high)}"


def _off(ratio: float) -> str:
    return f"{_percent(abs(ratio - 1))} {_word(ratio)}"


def _word(ratio: float) -> str:
    return "less" if ratio < 1 else "more"


def _percent(share: float) -> str:
    return f"{_number(share)} %"


def _number(share: float) -> str:
    return f"{share * 100:.2g}" if share < 0.995 else f"{share * 100:.0f}"


def _sure(found: Comparison) -> str:
    together = "" if found.compared == 1 else f" for all {found.compared} together"
    whole = 1 - (1 - found.ratio.confidence) * found.compared
    return f"at {whole * 100:.3g} % confidence{together}"


def _remedy(found: Comparison) -> str:
    if not found.launches_needed:
        return "A quieter machine is needed: a difference may be hidden by what disturbed launches"
    if found.launches_needed > MANY_LAUNCHES:
        return f"A quieter machine is needed: even {MANY_LAUNCHES} launches would not tell"
    return f"About {found.launches_needed} launches would tell, or fewer on a quieter machine"
