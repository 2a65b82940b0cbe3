"""What SIZE tells of a partial file: where to go on, and never that a photo which is not stored is all there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ftp.verify import resumable


@pytest.mark.parametrize("fresh", [False, True])
def test_a_partial_is_never_all_there(jpeg, fresh):
    """Whole, with a hole anywhere, or with its end lost: the full length is not told."""
    holed = [jpeg[:at] + bytes(len(jpeg[at : at + 4096])) + jpeg[at + 4096 :] for at in range(0, len(jpeg), 512)]
    for data in [jpeg] if fresh else [jpeg, *holed]:
        assert resumable(data, total=None, fresh=fresh) < len(jpeg)
        assert resumable(data, total=len(jpeg), fresh=fresh) < len(jpeg)


@given(st.integers(0, 10_000))
def test_a_cut_file_goes_on_where_it_ends(jpeg, at):
    data = jpeg[: at % len(jpeg)]
    assert resumable(data, total=None, fresh=True) == len(data)
    assert resumable(data, total=len(jpeg), fresh=False) == len(data)
    assert resumable(data, total=None, fresh=False) <= len(data)
