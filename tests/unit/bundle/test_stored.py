# SPDX-License-Identifier: Apache-2.0
import io
import zipfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.stored import stored_members
from insight_edge.bundle.zipped import NOT_A_ZIP, packed

MEMBERS = st.dictionaries(
    st.text("abcdef._/", min_size=1, max_size=12), st.binary(max_size=60), max_size=4
)


@given(MEMBERS)
def test_what_we_pack_is_read_without_zipfile(members: dict[str, bytes]) -> None:
    assert stored_members(packed(members)) == members


@given(MEMBERS, st.integers(0, 600), st.binary(max_size=3), st.integers(0, 3))
def test_a_changed_archive_is_read_as_zipfile_reads_it_or_left_to_it(
    members: dict[str, bytes], at: int, put: bytes, cut: int
) -> None:
    data = packed(members)
    changed = data[:at] + put + data[at + cut :]
    found = stored_members(changed)
    if found is None:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(changed)) as archive:
            others = {info.filename: archive.read(info) for info in archive.infolist()}
    except NOT_A_ZIP as error:
        raise AssertionError(f"zipfile refuses it: {error}") from error
    assert found == others


def test_archives_of_others_are_left_to_zipfile() -> None:
    saved = io.BytesIO()
    np.savez(saved, x=np.arange(3))
    assert stored_members(saved.getvalue()) is None
    assert stored_members(b"") is None
    assert stored_members(npz_from_arrays({"x": np.arange(3)}) + b"\0") is None
