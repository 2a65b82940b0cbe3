"""What goes wrong for a fleet: profiles, by name. Times are means for one camera, in seconds."""

from dataclasses import dataclass
from typing import Final

from simulator.link import PERFECT, Plan, Quality, seeded_cuts

_CUT_WITHIN: Final = 40_000
_BAD: Final = Quality(bits_per_s=8_000_000, delay_ms=20, stalls=0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What happens how often; None is never. `server_every_s` is a mean for the one server."""

    name: str
    what: str
    wifi_every_s: float | None = None
    power_every_s: float | None = None
    server_every_s: float | None = None
    quality: Quality = PERFECT
    cut_share: float = 0

    @property
    def needs_link(self) -> bool:
        """Whether something happens between camera and server."""
        return bool(self.server_every_s or self.cut_share or self.quality != PERFECT)

    def plan(self, seed: int) -> Plan | None:
        """Return which connections are cut."""
        return seeded_cuts(seed, share=self.cut_share, within=_CUT_WITHIN) if self.cut_share else None


PROFILES: Final = {
    profile.name: profile
    for profile in (
        Profile(name="none", what="nothing goes wrong"),
        Profile(name="wifi", what="the network is out of reach now and then", wifi_every_s=15),
        Profile(name="reboots", what="power is cut at any moment, and comes back", power_every_s=15),
        Profile(
            name="bad-link",
            what="8 Mbit/s, 20 ms each way, segments that come late, one connection in five is cut",
            quality=_BAD,
            cut_share=0.2,
        ),
        Profile(name="flaky-server", what="the server is away for seconds, now and then", server_every_s=10),
        Profile(
            name="everything",
            what="all of it at once",
            wifi_every_s=30,
            power_every_s=30,
            server_every_s=20,
            quality=_BAD,
            cut_share=0.1,
        ),
    )
}
