# SPDX-License-Identifier: Apache-2.0
"""What every step of pre- and post-processing has: the tensors it reads, and those it writes.

The kinds of steps are in `steps`, `image_steps` and `detection_steps`; nothing here computes.
"""

from insight_edge.documents.codec import Document


class Step(Document, frozen=True, kw_only=True, tag_field="op"):
    """What all steps share.

    Attributes:
        source: the tensor read.
        result: the tensor written; may have the name of the one that was read.
    """

    source: str
    result: str

    @property
    def op(self) -> str:
        """What the step is called in a manifest."""
        return str(self.__struct_config__.tag)

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of all tensors that are read, in the order in which they are handed over."""
        return (self.source,)

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of all tensors that are written, in the order in which they are handed back."""
        return (self.result,)
