# SPDX-License-Identifier: Apache-2.0
"""What a person declares of a bare model: the steps around it, in a TOML file.

Training writes a `source.SourceDescription` instead. What follows from a declaration and a model is
worked out in `compile.sources.declared`.
"""

from insight_edge.documents.codec import Document
from insight_edge.documents.steps import AnyStep
from insight_edge.documents.tensors import TensorSpec


class Declaration(Document, frozen=True, kw_only=True):
    """The caller's face of a model.

    Attributes:
        inputs: what callers pass; the model's own inputs where empty.
        pre, post: steps from these to the model's inputs, and from its outputs on. A `label`
            without classes has those named here.
        outputs: names of what callers receive; all that no later step reads where empty.
        task: e.g. `image-classification`.
        classes: names of what the model predicts, by index.
        classes_file: a file beside the declaration with a name a line, instead of `classes`.
    """

    inputs: tuple[TensorSpec, ...] = ()
    pre: tuple[AnyStep, ...] = ()
    post: tuple[AnyStep, ...] = ()
    outputs: tuple[str, ...] = ()
    task: str = "unspecified"
    classes: tuple[str, ...] = ()
    classes_file: str = ""
