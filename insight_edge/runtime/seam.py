# SPDX-License-Identifier: Apache-2.0
"""The engine seam: the one thing a plug-in does, and nothing more.

An engine loads one variant of an opened bundle and answers. It checks no
names, dtypes or shapes, takes no times, counts nothing and may raise anything:
`runtime.loading` and `runtime.infer` do all that once, for every engine.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant

Array = NDArray[Any]


class Session(Protocol):
    """A loaded artifact.

    One that is not loaded in this process also has `resident_bytes()`, the memory that it takes.
    """

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the model outputs by name for checked model inputs by name.

        Callers from several threads may be inside at once. Inputs are read in place where the
        engine can: ONNX Runtime, OpenVINO and TVM do. The arrays returned
        belong to the caller: no later call changes them.
        """
        ...

    def close(self) -> None:
        """Free the artifact; called once, when nobody is inside `infer`."""
        ...


class Engine(Protocol):
    """What runs artifacts; found by entry point `insight_edge.engines`, never named.

    Constructing one imports nothing heavy.
    """

    def facts(self) -> EngineFacts | Missing:
        """Return its version and precisions, or why it cannot be loaded on this machine."""
        ...

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> Session:
        """Return a session on the variant's artifact with `threads` inference threads."""
        ...
