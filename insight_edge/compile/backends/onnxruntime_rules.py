# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime does not compute of the operators that it has kernels for, as data, for a plan.

Found with the conformance corpora; types that are in none of them are not here.
"""

from insight_edge.compile.refusals.rules import Rule, of_dtype
from insight_edge.compile.refusals.usual_rules import NO_PADDED_KEYS

CAST = "cast to another type before"

RULES = (
    Rule(
        ops=frozenset({"BitShift"}),
        met=of_dtype(0, "uint16"),
        reason="has no kernel for {} of this type",
        hint=CAST,
    ),
    Rule(
        ops=frozenset({"Max", "Min"}),
        met=of_dtype(0, "int16", "uint16"),
        reason="has no kernel for {} of this type",
        hint=CAST,
    ),
    Rule(
        ops=frozenset({"Pow"}),
        met=of_dtype(1, "uint32", "uint64"),
        reason="has no kernel for {} with such exponents",
        hint=CAST,
    ),
    Rule(
        ops=frozenset({"TopK"}),
        met=of_dtype(0, "uint64"),
        reason="has no kernel for {} of this type",
        hint=CAST,
    ),
    NO_PADDED_KEYS,
)
