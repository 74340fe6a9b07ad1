# SPDX-License-Identifier: Apache-2.0
"""Whether an engine's library is installed, without importing it.

Importing one costs a quarter of a second to a whole one, and on a device it may
happen while another model serves. That the library also loads is seen when an
artifact is loaded.
"""

from importlib.util import find_spec

from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.runtime.installed import release


def engine_facts(
    name: str, precisions: tuple[str, ...], *, distributions: tuple[str, ...] = ()
) -> EngineFacts | Missing:
    """Return the facts of the engine whose package is called `name`.

    Its distribution is called so, too, or as one of `distributions`.
    """
    if find_spec(name) is None:
        return Missing(name=name, reason=f"the package {name} is not installed")
    found = release(name, *distributions)
    if found is None:
        return Missing(name=name, reason=f"{name} is importable but not installed by pip")
    return EngineFacts(name=name, version=found, precisions=precisions)
