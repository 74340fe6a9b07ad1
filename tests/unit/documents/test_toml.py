# SPDX-License-Identifier: Apache-2.0
import pytest

from insight_edge.documents.codec import decode_toml
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import DocumentError

PROFILE = """\
id = "bench"
name = "A bench"
dram = {{ length_bytes = {{ value = 8, source = "s" }} }}
{root}
[cpu]
arch = "x86_64"
model = {{ value = "m", source = "s" }}
isa = {{ value = ["avx2"], source = "s" }}
cores = {{ value = 2, source = "s" }}
[engines.onnxruntime]
precisions = ["fp32"]
{engine}
[sources.s]
address = "detected"
date = {date}
"""


def profile(*, root: str = "", engine: str = "", date: str = '"2026-01-01"') -> bytes:
    return PROFILE.format(root=root, engine=engine, date=date).encode()


def test_toml_gives_the_document() -> None:
    found = decode_toml(HardwareProfile, profile(root="limits = { max_drop_pp = 2 }"))
    assert (found.cpu.cores.value, found.limits.max_drop_pp) == (2, 2.0)


@pytest.mark.parametrize(
    ("data", "key", "hint"),
    [
        (profile(root="thread = 2"), "'thread'", "did you mean 'threads'?"),
        (
            profile(root="limits = { latency_ms = 5.0 }"),
            "'limits.latency_ms'",
            "did you mean 'latency_p50_ms'?",
        ),
        (
            profile(engine='version = ">=1"'),
            "'engines.onnxruntime.version'",
            "did you mean 'versions'?",
        ),
        (
            profile(root='power_modes = [{ name = "a", power_w = { value = 1, sauce = "s" } }]'),
            "'power_modes.0.power_w.sauce'",
            "did you mean 'source'?",
        ),
        (profile(root="unknown = 1"), "'unknown'", "known keys: format, id"),
    ],
)
def test_unknown_key_is_refused_with_its_path_and_the_nearest_name(
    data: bytes, key: str, hint: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        decode_toml(HardwareProfile, data.replace(b'sauce = "s"', b'sauce = "s", source = "s"'))
    assert key in str(caught.value)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"id = ", "not TOML"),
        (b"\xff", "not TOML"),
        (b"id = 3", "HardwareProfile"),
        (profile(date="2026-01-01"), r"sources\[...\].date"),
        (profile(root="threads = 9223372036854775808123"), "HardwareProfile"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "not TOML"),
    ],
)
def test_malformed_toml_is_refused(data: bytes, line: str) -> None:
    with pytest.raises(DocumentError, match=line):
        decode_toml(HardwareProfile, data)
