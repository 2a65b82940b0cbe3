import pytest
from hypothesis import given
from hypothesis import strategies as st

from aperture.contract.ids import (
    RESERVED_NAMES,
    NameRejectedError,
    check_name,
    is_photo_id,
    is_slug,
    new_command_id,
    new_photo_id,
    new_token,
    recovered_photo_id,
)


@pytest.mark.parametrize("make", [new_photo_id, new_command_id, new_token])
def test_new_ids_are_128_bits_in_26_characters(make):
    """Every bit counts: over many ids each of the 26 characters takes all values that it can."""
    ids = {make() for _ in range(4000)}
    assert len(ids) == 4000
    assert all(is_photo_id(one) for one in ids)
    for place in range(25):
        assert len({one[place] for one in ids}) == 32
    assert len({one[25] for one in ids}) == 8  # 128 bits are 25.6 characters


def test_an_id_that_was_lost_is_made_anew_as_the_camera_makes_it():
    """The firmware's own case has the same; each number and each picture has its own."""
    assert recovered_photo_id(7, "ab" * 32) == "qdfar52to2246lhy5bi4evsqxe"
    ids = {recovered_photo_id(seq, sha256 * 32) for seq in range(100) for sha256 in ("ab", "cd")}
    assert len(ids) == 200
    assert all(is_photo_id(one) for one in ids)


@pytest.mark.parametrize("name", ["a", "front-door", "cam2", "-", "0", "x" * 32])
def test_slugs_are_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "a b", "a/b", "a+b", "#", "a.b", "..", "ä", "x" * 33, "a\n", "\na", "a\x00", "front_door", "\uff41"],
)
def test_what_could_be_a_path_a_topic_or_a_wildcard_is_no_name(name):
    """A name goes into topics, file names and URLs as it is."""
    assert not is_slug(name)
    with pytest.raises(NameRejectedError, match="front-door"):
        check_name(name)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_the_server_s_own_names_are_taken(name):
    with pytest.raises(NameRejectedError, match="reserved"):
        check_name(name)


@given(st.text(max_size=40))
def test_only_26_characters_of_base32_are_a_photo_s_id(text):
    expected = len(text) == 26 and set(text) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert is_photo_id(text) == expected


@pytest.mark.parametrize("text", ["a" * 25, "a" * 27, "A" * 26, "a" * 25 + "1", "a" * 26 + "\n", "a" * 25 + "/"])
def test_near_misses_are_no_id(text):
    assert not is_photo_id(text)
