# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.documents.facts import EngineFacts, Missing
from insight_edge.documents.manifest import Variant
from insight_edge.documents.target import Target
from insight_edge.errors import (
    DocumentError,
    EngineMissingError,
    LoadFailedError,
    StorageError,
)
from insight_edge.runtime import loading
from insight_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine
from insight_edge.runtime.engines.openvino import OpenVinoEngine
from insight_edge.runtime.loading import engine_facts, engines, load_session
from tests.fakes import engine
from tests.fakes.bundles import write_small_bundle

TOKEN = "onnxruntime"


class Loud:
    """An engine that raises what it is told to."""

    def __init__(self, error: Exception | None = None, version: str = "1.22.0") -> None:
        self._error, self._version = error, version

    def facts(self) -> EngineFacts:
        if isinstance(self._error, OSError):
            raise self._error
        return EngineFacts(name=TOKEN, version=self._version)

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> Any:
        if self._error is not None:
            raise self._error
        return bundle.digest, variant.name, threads


class Unbuildable:
    def __init__(self) -> None:
        raise OSError("its licence has ended\nand more")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    write_small_bundle(tmp_path / "b")
    return open_bundle(tmp_path / "b", allow_unsigned=True)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Make one engine the only one there is."""

    def use_engine(found: Any) -> None:
        monkeypatch.setattr(loading, "engines", lambda *_: {TOKEN: found})

    return use_engine


def changed(bundle: Bundle, **changes: Any) -> Variant:
    variant = bundle.variant()
    fields = {name: getattr(variant, name) for name in variant.__struct_fields__}
    return Variant(**fields | changes)


def declare(folder: Path, place: str) -> None:
    metadata = folder / "plug-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[insight_edge.engines]\nplug = {place}\n")


def test_engines_that_ship_are_found() -> None:
    found = engines()
    assert isinstance(found["onnxruntime"], OnnxRuntimeEngine)
    assert isinstance(found["openvino"], OpenVinoEngine)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no.such.module:Engine", "ModuleNotFoundError: No module named 'no'"),
        (f"{engine.__name__}:Absent", "AttributeError: "),
        (f"{__name__}:Unbuildable", "OSError: its licence has ended"),
    ],
)
def test_plugin_that_cannot_be_loaded_is_missing_with_its_reason(
    place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(tmp_path, place)
    monkeypatch.syspath_prepend(tmp_path)
    found = engines()["plug"]
    assert isinstance(found, Missing)
    assert found.reason.startswith(said)
    assert "\n" not in found.reason
    assert engine_facts()["plug"] == found


def test_engine_that_cannot_tell_its_facts_is_missing(use: Callable[[Any], None]) -> None:
    use(Loud(OSError("no library")))
    assert engine_facts() == {TOKEN: Missing(name=TOKEN, reason="OSError: no library")}


def test_session_is_what_the_engine_loads(bundle: Bundle, use: Callable[[Any], None]) -> None:
    use(Loud())
    session: Any = load_session(bundle, bundle.variant(), threads=3)
    assert session == (bundle.digest, "fp32", 3)


@pytest.mark.parametrize(
    "found",
    [Missing(name=TOKEN, reason="not there"), Loud(OSError("not there"))],
)
def test_missing_engine_says_why_and_how_to_get_it(
    found: Any, bundle: Bundle, use: Callable[[Any], None]
) -> None:
    use(found)
    with pytest.raises(EngineMissingError, match="not there") as caught:
        load_session(bundle, bundle.variant(), threads=1)
    assert caught.value.hint == "pip install 'insight-edge[onnxruntime]'"


def test_engine_that_nobody_declares_is_missing(bundle: Bundle) -> None:
    variant = changed(bundle, target=Target(backend="nobody", precision="fp32"))
    with pytest.raises(EngineMissingError, match="no plug-in of that name"):
        load_session(bundle, variant, threads=1)


def test_version_that_the_artifact_does_not_accept_is_refused(
    bundle: Bundle, use: Callable[[Any], None]
) -> None:
    use(Loud(version="1.21.3"))
    with pytest.raises(EngineMissingError, match=r"needs onnxruntime >=1.22, .* 1.21.3") as caught:
        load_session(bundle, changed(bundle, engine_versions=">=1.22"), threads=1)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("'insight-edge[onnxruntime]'")


def test_requirement_that_cannot_be_read_is_the_manifests_fault(
    bundle: Bundle, use: Callable[[Any], None]
) -> None:
    use(Loud())
    with pytest.raises(DocumentError, match="not a version requirement"):
        load_session(bundle, changed(bundle, engine_versions="new"), threads=1)


def test_extension_that_the_cpu_lacks_is_refused_by_name(
    bundle: Bundle, use: Callable[[Any], None]
) -> None:
    use(Loud())
    with pytest.raises(LoadFailedError, match="needs amx_future, which this CPU has not"):
        load_session(bundle, changed(bundle, isa=("amx_future",)), threads=1)


def test_entry_that_is_not_a_file_of_the_variant_is_refused(
    bundle: Bundle, use: Callable[[Any], None]
) -> None:
    use(Loud())
    with pytest.raises(DocumentError, match=r"'golden.npz' is not one of its files"):
        load_session(bundle, changed(bundle, entry="golden.npz"), threads=1)


@pytest.mark.parametrize(
    "said", ["bad operator\n#0 native stack", "Exception from src/core.cpp:117:\nbad operator\n\n"]
)
def test_foreign_error_is_wrapped_once_in_one_line(
    bundle: Bundle, use: Callable[[Any], None], said: str
) -> None:
    cause = RuntimeError(said)
    use(Loud(cause))
    with pytest.raises(LoadFailedError) as caught:
        load_session(bundle, bundle.variant(), threads=1)
    assert caught.value.__cause__ is cause
    expected = "fp32: onnxruntime did not load model.onnx: RuntimeError: bad operator"
    assert str(caught.value) == expected


def test_own_error_of_a_plugin_passes_as_it_is(bundle: Bundle, use: Callable[[Any], None]) -> None:
    cause = StorageError("the disk is full")
    use(Loud(cause))
    with pytest.raises(StorageError) as caught:
        load_session(bundle, bundle.variant(), threads=1)
    assert caught.value is cause


def test_no_thread_is_a_mistake_of_the_caller(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        load_session(bundle, bundle.variant(), threads=0)
