# SPDX-License-Identifier: Apache-2.0
"""Rules that several toolchains share, and the words of others."""

from insight_edge.compile.refusals.rules import Rule, attribute, given, used

COMPUTED = "takes no {} whose axes, sizes or counts are computed from the inputs"
CARRIED = "let the model carry them as constants"

NO_INDICES = Rule(
    ops=frozenset({"MaxPool"}),
    met=used(1),
    reason="makes no indices of {}",
    hint="leave them out",
)

NO_TRAINING = Rule(
    ops=frozenset({"BatchNormalization"}),
    met=attribute("training_mode"),
    reason="has no {} of training",
    hint="export the model in evaluation mode",
)

NO_PADDED_KEYS = Rule(
    ops=frozenset({"Attention"}),
    met=given(6),
    reason="takes no {} that is told how many keys and values are no padding",
    hint="mask the padding instead",
)
