"""Which bearer tokens are valid, remembered for so short a time that a revoked one is void within a second."""

import time
from collections import OrderedDict
from collections.abc import Callable

from aperture.store import accounts
from aperture.store.accounts import Token
from aperture.store.credentials import token_hash
from aperture.store.database import Database

_MOST = 1024
_LONGEST_SECRET = 128


class Tokens:
    """Looks tokens up by the hash of their secret; the secret itself is not kept."""

    def __init__(self, *, database: Database, keep_s: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember each answer, also "there is none", for `keep_s` seconds."""
        self._database = database
        self._keep_s = keep_s
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Token | None]] = OrderedDict()

    async def find(self, secret: str) -> Token | None:
        """Return the valid token of this secret.

        Raises:
            StoreUnavailableError: the database does not answer: nobody gets in.
        """
        if len(secret) > _LONGEST_SECRET:
            return None
        key = token_hash(secret)
        known = self._known.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        asked = self._clock()
        token = await self._database.aread(lambda connection: accounts.find_token(connection, secret))
        self._known[key] = (asked + self._keep_s, token)
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return token
