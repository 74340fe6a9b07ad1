# SPDX-License-Identifier: Apache-2.0
"""The digest of bytes is the same whoever computes it, and OpenSSL stays away from few of them."""

import hashlib
import subprocess
import sys

import pytest

from insight_edge.stats.sha256 import FEW_BYTES, hexdigest, sha256

LOADED = """
import sys
from insight_edge.stats.sha256 import FEW_BYTES, hexdigest
few = hexdigest(b"few")
before = "_hashlib" in sys.modules
hexdigest(bytes(FEW_BYTES + 1))
print(few, before, "_hashlib" in sys.modules)
"""


@pytest.mark.parametrize("length_bytes", [0, 1, 64, FEW_BYTES, FEW_BYTES + 1])
def test_digest_is_that_of_hashlib(length_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "_hashlib", raising=False)
    data = bytes(range(256)) * (length_bytes // 256) + bytes(length_bytes % 256)
    assert hexdigest(data) == hashlib.sha256(data).hexdigest()


def test_bytes_may_come_in_parts() -> None:
    state = sha256(6)
    state.update(b"abc")
    state.update(b"def")
    assert state.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()


def test_openssl_is_loaded_for_many_bytes_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [hashlib.sha256(b"few").hexdigest(), "False", "True"]
