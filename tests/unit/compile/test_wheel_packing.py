# SPDX-License-Identifier: Apache-2.0
import io
import zipfile
from zipfile import ZipInfo

from hypothesis import given
from hypothesis import strategies as st

from hatch_build import packed

MOMENTS = st.tuples(
    st.integers(1980, 2107),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 29).map(lambda half: 2 * half),
)
NAMES = st.text("abcdefghä_./", min_size=1, max_size=40)


@given(st.dictionaries(NAMES, st.tuples(st.binary(max_size=2000), MOMENTS), max_size=8))
def test_what_is_packed_comes_out_as_it_went_in(
    files: dict[str, tuple[bytes, tuple[int, int, int, int, int, int]]],
) -> None:
    members = []
    for name, (content, moment) in files.items():
        info = ZipInfo(name, moment)
        info.external_attr = 0o100755 << 16
        members.append((info, content))
    with zipfile.ZipFile(io.BytesIO(packed(members))) as archive:
        assert archive.testzip() is None
        assert [i.filename for i in archive.infolist()] == list(files)
        assert {i.external_attr for i in archive.infolist()} <= {0o100755 << 16}
        read = {i.filename: (archive.read(i), i.date_time) for i in archive.infolist()}
    assert read == files
