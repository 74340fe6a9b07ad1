# SPDX-License-Identifier: Apache-2.0
"""An address allows what was signed into it, and nothing else."""

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from insight_cloud.platform.errors import ForbiddenError
from insight_cloud.platform.presigned import Presigner, Upload

UPLOAD = Upload(
    tenant="default", device="press-7", digest="sha256:0", length_bytes=7, expires_s=1000
)


def test_what_was_signed_is_allowed_until_it_expires(tmp_path: Path) -> None:
    signer = Presigner(tmp_path / "secret")
    signature = parse_qs(signer.query(UPLOAD))["signature"][0]
    Presigner(tmp_path / "secret").check(UPLOAD, signature, now_s=1000.9)
    with pytest.raises(ForbiddenError, match="until some time ago"):
        signer.check(UPLOAD, signature, now_s=1001.0)


@pytest.mark.parametrize(
    "other",
    [
        replace(UPLOAD, tenant="other"),
        replace(UPLOAD, device="press-8"),
        replace(UPLOAD, digest="sha256:1"),
        replace(UPLOAD, length_bytes=8),
        replace(UPLOAD, expires_s=1001),
        replace(UPLOAD, tenant="default\npress-7", device="sha256:0"),
    ],
)
def test_what_was_not_signed_is_refused(tmp_path: Path, other: Upload) -> None:
    signer = Presigner(tmp_path / "secret")
    signature = parse_qs(signer.query(UPLOAD))["signature"][0]
    for wrong in (signature, "", "é"):
        with pytest.raises(ForbiddenError, match="was not allowed"):
            signer.check(other, wrong, now_s=0.0)


def test_secret_is_one_for_all_processes_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Presigner(path), range(8)))
    assert len({signer.query(UPLOAD) for signer in made}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["secret"]
