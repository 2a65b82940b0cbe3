import pytest
from hypothesis import given
from hypothesis import strategies as st

from aperture.contract.topics import FROM_CAMERA, FROM_OPERATOR, TO_CAMERA, CameraTopic, Topics

KINDS = FROM_CAMERA + TO_CAMERA + FROM_OPERATOR


@pytest.mark.parametrize("root", ["aperture", "a", "my-home_2"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_built_is_parsed(root, kind):
    topics = Topics(root)
    assert topics.of("front-door", kind) == f"{root}/front-door/{kind}"
    assert topics.parse(topics.of("front-door", kind)) == CameraTopic("front-door", kind)


def test_the_names_are_those_of_the_contract():
    """Firmware, brokers' access lists and others' programs spell them out."""
    assert FROM_CAMERA == ("presence", "status", "shutter", "sleep", "reply")
    assert TO_CAMERA == ("command", "ack", "photo")
    assert FROM_OPERATOR == ("request",)
    assert Topics().server_status == "aperture/server/status"
    assert Topics().every("status") == "aperture/+/status"


@pytest.mark.parametrize(
    "topic",
    [
        "", "aperture", "aperture/cam", "aperture/cam/", "/cam/status", "aperture//status", "aperture/cam/status/",
        "aperture/cam/status/x", "x/aperture/cam/status", "Aperture/cam/status", "aperture/Cam/status",
        "aperture/server/status", "aperture/cam/unknown", "aperture/+/status", "aperture/#", "aperture/cam/STATUS",
        "other/cam/status",
    ],
)  # fmt: skip
def test_what_is_no_camera_s_topic_is_none(topic):
    """`server` is nobody's name; wildcards are no names."""
    assert Topics().parse(topic) is None


@given(st.text())
def test_no_topic_is_an_error(topic):
    """A broker passes on whatever a client published."""
    parsed = Topics().parse(topic)
    assert parsed is None or Topics().of(parsed.camera, parsed.kind) == topic
