# SPDX-License-Identifier: Apache-2.0
"""What travels beside a source model: everything a bundle needs that ONNX cannot say.

Training writes it as `model.json` next to `model.onnx`; a bare ONNX has none.
"""

from insight_edge.documents.codec import Versioned
from insight_edge.documents.manifest import ModelInfo, Reference
from insight_edge.documents.steps import AnyStep, Observe
from insight_edge.documents.tensors import TensorSpec


class SourceDescription(Versioned, frozen=True, kw_only=True):
    """The caller's face of a model, and the reference of its inputs.

    Attributes:
        inputs, outputs: what callers pass and receive, before `pre` and after `post`.
        reference: statistics of the training inputs and of the model's outputs on them.
    """

    model: ModelInfo
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    pre: tuple[AnyStep, ...] = ()
    post: tuple[AnyStep, ...] = ()
    observe: Observe = Observe()
    reference: Reference | None = None
