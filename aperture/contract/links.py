"""Where a photo is found on the web: built here alone, so that HTTP, MQTT and Discord agree."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """URLs below one base; without a base they are paths, right for whoever asked the API itself."""

    base: str = ""

    def photo(self, photo: str) -> str:
        """Return the public, unguessable address of the image."""
        return f"{self.base}/p/{photo}.jpg"

    def thumbnail(self, photo: str) -> str:
        """Return the address of the small image (it wants the API's authorization)."""
        return f"{self.base}/api/v1/photos/{photo}/thumbnail"
