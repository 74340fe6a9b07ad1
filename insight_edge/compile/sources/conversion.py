# SPDX-License-Identifier: Apache-2.0
"""What an import child is asked and what it answers: two documents, exchanged as files.

Parent and child may be different environments. What is larger than a document
lies in the child's directory under the names below. Nothing here starts a
process (`compile.sources.importing` does).
"""

from insight_edge.documents.codec import Versioned

MODEL = "model.onnx"
"""The model in ONNX; absent where the file was one that needed no change."""

INPUTS = "inputs.npz"
"""Rows of the model's inputs, by name."""

ANSWERS = "answers.npz"
"""What the framework itself answers to them: one array an output, in order, named `0`, `1` …"""

WORKLOAD = "workload.json"
"""The workload of a model that the child has examined."""


class ConversionJob(Versioned, frozen=True, kw_only=True):
    """One file of one framework.

    Attributes:
        converter: what reads it, `module:function`; it is called with the path of the file, the
            directory to write to and `trust_pickle`, and may raise anything. A `ModelError` is a
            refusal.
        model: path of the file.
        trust_pickle: code in the file may run.
    """

    converter: str
    model: str
    trust_pickle: bool = False


class Conversion(Versioned, frozen=True, kw_only=True):
    """What became of it: the files are written, or the model is refused.

    Attributes:
        refusal: in one line, None where there is none.
        hint: what to do about it.
    """

    refusal: str | None = None
    hint: str | None = None
