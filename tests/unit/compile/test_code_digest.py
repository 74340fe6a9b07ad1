# SPDX-License-Identifier: Apache-2.0
"""Which of our code a build depends on."""

from pathlib import Path

import pytest

from insight_edge.compile.plugins.code_digest import CHILD, code_digest, imported, reached


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a package: `backend` uses `tool` and, within a function, `deep.well`; not `other`."""
    place = tmp_path / "acme"
    (place / "deep").mkdir(parents=True)
    for name in ("__init__", "deep/__init__", "other", "deep/well"):
        (place / f"{name}.py").write_text("")
    (place / "tool.py").write_text("import acme.tool, os\n")
    (place / "backend.py").write_text(
        "from acme import (\n    tool,\n)\n\n\ndef f():\n    from .deep import well\n"
    )
    return place


def names(folder: Path) -> set[str]:
    return set(reached(("acme.backend",), {"acme": folder}))


def test_what_a_backend_imports_is_followed_to_its_end(folder: Path) -> None:
    assert names(folder) == {"acme", "acme.backend", "acme.tool", "acme.deep", "acme.deep.well"}


def test_dots_are_resolved_from_module_and_package() -> None:
    text = "from .b import c\nfrom . import d\nfrom ..e import f\n"
    assert set(imported(text, "p.q.a", is_package=False)) == {
        "p.q.b", "p.q.b.c", "p.q", "p.q.d", "p.e", "p.e.f",
    }  # fmt: skip
    assert "p.q.b" in set(imported("from .b import c\n", "p.q", is_package=True))


@pytest.mark.parametrize(("edited", "changes"), [("deep/well", True), ("other", False)])
def test_digest_changes_with_what_is_used_alone(
    edited: str, changes: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder.parent))
    code_digest.cache_clear()
    before = code_digest("acme.backend:Backend")
    (folder / f"{edited}.py").write_text("x = 1\n")
    code_digest.cache_clear()
    assert before.startswith("sha256:")
    assert (code_digest("acme.backend:Backend") != before) == changes
    code_digest.cache_clear()


def test_plugin_that_is_one_file_has_a_digest_and_one_that_is_not_here_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lonely_backend.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert code_digest("lonely_backend:Backend")
    assert code_digest("nowhere_to_be_found.backend:Backend") == ""


def test_our_own_backends_share_some_code_and_not_all() -> None:
    import insight_edge

    folders = {"insight_edge": Path(insight_edge.__file__).parent}
    one, other = (
        set(reached((f"insight_edge.compile.backends.{name}", CHILD), folders))
        for name in ("onnxruntime", "openvino")
    )
    assert "insight_edge.compile.quantize.qdq" in one - other
    assert "insight_edge.compile.quantize.nncf_int8" in other - one
    assert "insight_edge.compile.building.child" in one & other
    assert not {"insight_edge.compile.compiler", "insight_edge.cli.compile"} & (one | other)
