# SPDX-License-Identifier: Apache-2.0
"""The page of the API is made of files that somebody else made, unchanged."""

import hashlib
import re

from insight_cloud.app.docs import STATIC


def test_vendored_files_are_those_that_are_written_down() -> None:
    text = (STATIC / "VENDORED.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", text, re.MULTILINE)
    assert {name for name, _ in rows} == {"swagger-ui-bundle.js", "swagger-ui.css"}
    for name, digest in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
