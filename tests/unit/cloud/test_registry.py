# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime
from pathlib import Path

import pytest

from insight_cloud.platform.blobs import blob_key
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.registry.rules import ModelVersion, check_alias, check_name, next_number
from insight_cloud.registry.service import Registry
from insight_edge.documents.codec import digest
from insight_edge.errors import ConfigurationError, DigestMismatchError, StorageError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def register(registry: Registry, model: str = "digits", source: bytes = b"onnx") -> ModelVersion:
    return registry.register(
        model,
        task="image-classification",
        artifacts={"model.onnx": source, "model.json": b"{}"},
        metrics={"accuracy": 0.5},
        by="Ada",
        now=NOW,
    )


def test_numbers_start_at_one_and_grow_by_one() -> None:
    assert [next_number(None), next_number(1), next_number(41)] == [1, 2, 42]


def test_versions_are_counted_for_each_model_alone(registry: Registry) -> None:
    labels = [register(registry, model).label for model in ("a", "a", "b", "a", "b")]
    assert labels == ["a:1", "a:2", "b:1", "a:3", "b:2"]
    assert [version.number for version in registry.versions("a")] == [1, 2, 3]
    assert registry.versions("c") == ()


def test_a_version_is_returned_as_it_was_registered(registry: Registry) -> None:
    registered = register(registry, source=b"first")
    register(registry, source=b"second")
    found = registry.version("digits", 1)
    assert found == registered
    assert found.digest == digest(b"first")
    assert found.metrics == {"accuracy": 0.5}
    assert found.created == NOW
    assert [(a.name, a.length_bytes) for a in found.artifacts] == [
        ("model.json", 2),
        ("model.onnx", 5),
    ]
    assert registry.artifact(found, "model.onnx") == b"first"


def test_an_alias_names_one_version_until_it_is_moved(registry: Registry) -> None:
    for source in (b"1", b"2"):
        register(registry, source=source)
    registry.assign_alias("digits", "production", 1, by="Ada", now=NOW)
    assert registry.version("digits", "production").number == 1
    registry.assign_alias("digits", "production", 2, by="Ada", now=NOW)
    registry.assign_alias("digits", "previous", 1, by="Ada", now=NOW)
    assert registry.version("digits", "production").number == 2
    assert registry.aliases("digits") == {"previous": 1, "production": 2}


def test_a_new_version_moves_no_alias(registry: Registry) -> None:
    register(registry)
    registry.assign_alias("digits", "production", 1, by="Ada", now=NOW)
    register(registry)
    assert registry.version("digits", "production").number == 1


def test_an_alias_belongs_to_its_model(registry: Registry) -> None:
    for model in ("a", "b"):
        register(registry, model)
    registry.assign_alias("a", "production", 1, by="Ada", now=NOW)
    assert registry.aliases("b") == {}


@pytest.mark.parametrize("which", [2, 0, -1, "production"])
def test_what_is_not_recorded_is_not_found(registry: Registry, which: int | str) -> None:
    register(registry)
    with pytest.raises(NotFoundError, match="digits"):
        registry.version("digits", which)


def test_an_alias_for_no_version_is_refused(registry: Registry) -> None:
    register(registry)
    with pytest.raises(NotFoundError, match="digits:2"):
        registry.assign_alias("digits", "production", 2, by="Ada", now=NOW)
    assert registry.aliases("digits") == {}


def test_an_artifact_that_the_version_has_not_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=r"data\.npz") as caught:
        registry.artifact(register(registry), "data.npz")
    assert caught.value.hint == "it has model.json, model.onnx"


def test_a_damaged_artifact_is_never_returned(registry: Registry, tmp_path: Path) -> None:
    version = register(registry)
    (tmp_path / "blobs" / blob_key(version.digest)).write_bytes(b"other")
    with pytest.raises(DigestMismatchError):
        registry.artifact(version, "model.onnx")


def test_a_model_keeps_its_task(registry: Registry) -> None:
    register(registry)
    with pytest.raises(ConflictError, match="image-classification"):
        registry.register(
            "digits",
            task="forecasting",
            artifacts={"model.onnx": b"x"},
            metrics={},
            by="Ada",
            now=NOW,
        )
    assert len(registry.versions("digits")) == 1


def test_a_version_without_source_model_is_a_programming_error(registry: Registry) -> None:
    with pytest.raises(ValueError, match=r"model\.onnx"):
        registry.register("digits", task="t", artifacts={}, metrics={}, by="Ada", now=NOW)


def test_nothing_is_recorded_when_a_blob_cannot_be_kept(registry: Registry, tmp_path: Path) -> None:
    tenant = tmp_path / "blobs" / "default"
    tenant.write_bytes(b"a file where the folder has to be")
    with pytest.raises(StorageError):
        register(registry)
    assert registry.versions("digits") == ()


@pytest.mark.parametrize("name", ["a", "digits", "a.b-c_d", "9", "x" * 63])
def test_names_that_can_be_used(name: str) -> None:
    check_name("a model", name)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a/b", "..", "a b", "x" * 64, "é", "a\n"])
def test_names_that_cannot_be_used(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a model"):
        check_name("a model", name)


def test_an_alias_is_never_a_number() -> None:
    check_alias("v2")
    with pytest.raises(ConfigurationError, match="version number"):
        check_alias("2")
