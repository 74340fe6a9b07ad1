# SPDX-License-Identifier: Apache-2.0
"""Find engines, and load a variant of a bundle with the one it names.

All that is common to engines is checked here, once: that the engine is there,
that its version and this CPU are what the artifact was built for, that the
entry is a file the variant names. Whatever a plug-in raises leaves as one of our
errors. Nothing is inferred here, and no engine is known by name.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.documents.versions import satisfies
from insight_edge.errors import (
    DocumentError,
    EngineMissingError,
    InsightEdgeError,
    LoadFailedError,
)
from insight_edge.runtime.installed import Plugin, plugins
from insight_edge.runtime.logs import logger
from insight_edge.runtime.processor import isa_extensions
from insight_edge.runtime.seam import Engine, Session

if TYPE_CHECKING:
    from insight_edge.runtime.engine_cache import CachedSession, CacheFile

GROUP = "insight_edge.engines"


def engines(token: str | None = None) -> dict[str, Engine | Missing]:
    """Return every declared engine by token; one whose plug-in fails is `Missing`.

    No engine's library is imported: `engine_facts` says which can be loaded.

    Args:
        token: of the only one that is wanted; the plug-ins of others are not even imported.
    """
    return {
        plugin.name: _construct(plugin) for plugin in plugins(GROUP) if token in {None, plugin.name}
    }


def engine_facts() -> dict[str, EngineFacts | Missing]:
    """Return what each declared engine says of itself on this machine, by token.

    Imports the engines' libraries; one that fails to is `Missing` with its reason.
    """
    return {name: _ask(name, engine) for name, engine in engines().items()}


class Loaded(NamedTuple):
    """A session, and what keeps what was compiled for it; None where there is nothing to keep."""

    session: Session
    keep: Callable[[], None] | None


def load_session(bundle: Bundle, variant: Variant, *, threads: int) -> Session:
    """Return a session on the variant's artifact with `threads` inference threads.

    Raises:
        ValueError, DocumentError, EngineMissingError, LoadFailedError: as `load`.
    """
    return load(bundle, variant, threads=threads).session


def load(bundle: Bundle, variant: Variant, *, threads: int) -> Loaded:
    """Load the variant's artifact, or the cache that its engine compiled it into before.

    Raises:
        ValueError: fewer than one thread.
        DocumentError: the entry is not among the variant's files, or its version
            requirement cannot be read.
        EngineMissingError: the engine, or a version the variant accepts, is not installed.
        LoadFailedError: this CPU lacks an extension, or the engine refused the artifact.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}, at least 1 is needed")
    _refuse_stray_entry(variant)
    engine, release = _find_engine(variant)
    _refuse_isa(variant)
    try:
        loaded = _load_cached(engine, release, bundle, variant, threads)
        return loaded or Loaded(engine.load(bundle, variant, threads=threads), None)
    except InsightEdgeError:
        raise
    except Exception as error:
        raise LoadFailedError(
            f"{variant.name}: {variant.target.backend} did not load {variant.entry}: "
            f"{_one_line(error)}"
        ) from error


def _load_cached(
    engine: Engine, release: str, bundle: Bundle, variant: Variant, threads: int
) -> Loaded | None:
    """Load a cache, or what is to have one; None where that is not to be had."""
    if bundle.cache is None:
        return None
    from insight_edge.runtime.engine_cache import (  # for a bundle that has a place for it
        Caching,
        cache_file,
    )

    if not isinstance(engine, Caching):
        return None
    file = cache_file(bundle.cache, variant, engine, release, threads=threads)
    kept = file.read()
    for cache in (None,) if kept is None else (kept, None):
        try:
            session = engine.load_cached(bundle, variant, cache, threads=threads)
        except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it is loaded plainly)
            logger(__name__).warning("%s: of no use as a cache: %s", variant.name, _one_line(error))
        else:
            return Loaded(session, partial(_keep, file, session) if cache is None else None)
    return None


def _keep(file: "CacheFile", session: "CachedSession") -> None:
    file.keep(session.cache())


def _construct(plugin: Plugin) -> Engine | Missing:
    try:
        engine: Engine = plugin.load()()
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it becomes data)
        return Missing(name=plugin.name, reason=_one_line(error))
    return engine


def _ask(name: str, engine: Engine | Missing) -> EngineFacts | Missing:
    if isinstance(engine, Missing):
        return engine
    try:
        return engine.facts()
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it becomes data)
        return Missing(name=name, reason=_one_line(error))


def _find_engine(variant: Variant) -> tuple[Engine, str]:
    token = variant.target.backend
    engine = engines(token).get(token, Missing(name=token, reason="no plug-in of that name"))
    if isinstance(engine, Missing):
        raise _missing(variant, engine)
    facts = _ask(token, engine)
    if isinstance(facts, Missing):
        raise _missing(variant, facts)
    _refuse_version(variant, facts)
    return engine, facts.version


def _missing(variant: Variant, engine: Missing) -> EngineMissingError:
    token = variant.target.backend
    return EngineMissingError(
        f"{variant.name} runs on {token}, which is not on this machine: {engine.reason}",
        hint=f"pip install 'insight-edge[{token}]'",
    )


def _refuse_version(variant: Variant, facts: EngineFacts) -> None:
    token, wanted = variant.target.backend, variant.engine_versions
    try:
        met = satisfies(facts.version, wanted)
    except ValueError as error:
        raise DocumentError(f"{variant.name}: {error}") from error
    if not met:
        raise EngineMissingError(
            f"{variant.name} needs {token} {wanted}, this machine has {facts.version}",
            # An engine's token is not its package: tflite's is ai-edge-litert.
            hint=f"pip install --upgrade --upgrade-strategy eager 'insight-edge[{token}]'",
        )


def _refuse_stray_entry(variant: Variant) -> None:
    if variant.entry not in {file.path for file in variant.files}:
        raise DocumentError(f"{variant.name}: entry '{variant.entry}' is not one of its files")


def _refuse_isa(variant: Variant) -> None:
    lacking = sorted(set(variant.isa) - set(isa_extensions()))
    if lacking:
        raise LoadFailedError(
            f"{variant.name} needs {', '.join(lacking)}, which this CPU has not",
            hint="take a bundle that was compiled for this machine's hardware profile",
        )


def _one_line(error: Exception) -> str:
    """Return the first line of a foreign message, which may be pages of native stack.

    A line that ends in a colon says where; what is said after it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if not line.endswith(":")), "".join(lines[:1]))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
