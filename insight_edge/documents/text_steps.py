# SPDX-License-Identifier: Apache-2.0
"""Steps on text, from characters to the numbers of tokens; computed in `transforms.texts`."""

from insight_edge.documents.file_entry import FileEntry
from insight_edge.documents.step import Step


class Tokenize(Step, frozen=True, kw_only=True, tag="tokenize"):
    """Texts to tokens; reads text (batch,), or UTF-8 as uint8 (batch, bytes), zeros at its end.

    Writes int64 (batch, length): the tokens as the vocabulary's template arranges them, cut so
    that they fit, the padding token after their end.

    Attributes:
        length: of every row.
        mask: the tensor (int64) of 1 for a token and 0 for padding; none where empty.
        types: the tensor (int64) of which text a token is of, as the template says; none where
            empty.
        pair: the tensor of the second text of each row; none where empty.
        vocabulary: file of the bundle; absent only where it is still to be made of `tokenizer`.
        tokenizer: a `tokenizer.json` beside the declaration; only there.
        pad: the token that fills rows, where the tokenizer's file names none; only there.
    """

    length: int
    mask: str = ""
    types: str = ""
    pair: str = ""
    vocabulary: FileEntry | None = None
    tokenizer: str = ""
    pad: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """The text, and the second one where there is one."""
        return (self.source, self.pair) if self.pair else (self.source,)

    @property
    def writes(self) -> tuple[str, ...]:
        """Tokens, then the mask and the types where they are wanted."""
        return tuple(filter(None, (self.result, self.mask, self.types)))
