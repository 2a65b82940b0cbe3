"""Where things are said: MQTT topic names (MQTT 3.1.1), below a root that is a setting.

A camera publishes `presence`, `status`, `shutter`, `sleep` and `reply`; it reads `command`, `ack` and `photo`.
"""

from dataclasses import dataclass
from typing import Final

from aperture.contract.ids import is_slug

FROM_CAMERA: Final = ("presence", "status", "shutter", "sleep", "reply")
TO_CAMERA: Final = ("command", "ack", "photo")
FROM_OPERATOR: Final = ("request",)
RETAINED: Final = ("presence", "status", "photo")


@dataclass(frozen=True, slots=True)
class CameraTopic:
    """One parsed topic: `<root>/<camera>/<kind>`."""

    camera: str
    kind: str


@dataclass(frozen=True, slots=True)
class Topics:
    """Builds and parses the topics below one root."""

    root: str = "aperture"

    @property
    def server_status(self) -> str:
        """Retained, and the bridge's last will: is anyone serving?"""
        return f"{self.root}/server/status"

    def of(self, camera: str, kind: str) -> str:
        """Return the topic of one kind of message of one camera."""
        return f"{self.root}/{camera}/{kind}"

    def every(self, kind: str) -> str:
        """Return the filter that matches this kind of message of all cameras."""
        return f"{self.root}/+/{kind}"

    def parse(self, topic: str) -> CameraTopic | None:
        """Return what a topic names, or None when it is no camera's topic of this contract."""
        head, _, kind = topic.rpartition("/")
        root, _, camera = head.rpartition("/")
        if root != self.root or not is_slug(camera) or camera == "server":
            return None
        if kind not in FROM_CAMERA + TO_CAMERA + FROM_OPERATOR:
            return None
        return CameraTopic(camera, kind)
