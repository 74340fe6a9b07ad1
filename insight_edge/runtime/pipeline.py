# SPDX-License-Identifier: Apache-2.0
"""From the caller's inputs to the caller's outputs: `pre`, the engine, `post`.

The same three steps answer a caller, the golden samples and the warm-up. This
module checks no input (`boundary` does), counts nothing and takes no time.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from insight_edge.documents.manifest import Manifest
from insight_edge.errors import InferenceFailedError, InputError
from insight_edge.runtime.seam import Session
from insight_edge.transforms.executor import carried, run

if TYPE_CHECKING:
    from insight_edge.transforms.tokenizer import Tokenizer

Tensors = Mapping[str, NDArray[Any]]
Outputs = dict[str, NDArray[Any]]


class Pipeline:
    """A session between the steps of its manifest, and the tokenizers that these need."""

    def __init__(
        self, manifest: Manifest, session: Session, tokenizers: "Sequence[Tokenizer]" = ()
    ) -> None:
        self._session = session
        self._tokenizers = tokenizers  # steps find them as long as they are kept
        self._pre, self._post = manifest.pre, manifest.post
        self._model_inputs = tuple(spec.name for spec in manifest.io.model_inputs)
        self._outputs = tuple(spec.name for spec in manifest.io.outputs)
        answers = (spec.name for spec in manifest.io.model_outputs)
        self._carried = carried(manifest.post, answers)

    def answer(self, inputs: Tensors) -> tuple[Tensors, Outputs, Outputs, Outputs]:
        """Return what the model was fed, what it answered, all after `post`, and the outputs.

        Raises:
            InferenceFailedError: the engine or a step failed, whatever it raised.
            InputError: the inputs are of the right names, dtypes and shapes, and a step before the
                model cannot use them: a row is no image.
        """
        try:
            before = run(self._pre, inputs) if self._pre else inputs
            fed = {name: before[name] for name in self._model_inputs} if self._pre else inputs
        except InputError:
            raise
        except Exception as error:
            raise _failed(error) from error
        try:
            raw = self._session.infer(fed)
            if not self._post:
                return fed, raw, raw, raw
            known = {name: before[name] for name in self._carried} | raw if self._carried else raw
            tensors = run(self._post, known)
            return fed, raw, tensors, {name: tensors[name] for name in self._outputs}
        except InferenceFailedError:  # in words of its own
            raise
        except Exception as error:  # a plug-in may raise anything
            raise _failed(error) from error


def _failed(error: Exception) -> InferenceFailedError:
    return InferenceFailedError(
        f"the engine failed on a checked input: {type(error).__name__}: {error}"
    )
