"""What cameras read below `/firmware/`: bundles, each with a signature that is made for the camera that asks.

The signature proves to a camera that the bundle comes from who issued its update key, whatever the network between
them did (docs/adr/0007-update-keys.md). `aperture.bundles` has what a bundle is.
"""

import hmac
import posixpath

from aperture import bundles
from aperture.store import accounts
from aperture.store.database import Database
from broker.ftp.errors import RefusedError
from broker.ftp.paths import Root

_SIGNATURE = "bundle.sig"


def read(root: Root, path: str, database: Database) -> bytes:
    """Return the bytes of a virtual file. Runs in the commit thread.

    `…/bundle.sig` is no file: it is the HMAC-SHA256 (RFC 2104; 64 hex digits and a line end) of the bytes of the
    `bundle.json` beside it, by the update key of the account that asks.

    Raises:
        RefusedError: there is no such file, or the account has no key.
    """
    folder, name = posixpath.split(path)
    if name != _SIGNATURE:
        return root.firmware(path).read_bytes()
    signed = root.firmware(posixpath.join(folder, bundles.MANIFEST)).read_bytes()
    key = database.read(lambda connection: accounts.update_key(connection, root.camera))
    if key is None:
        raise RefusedError(550, "This account has no update key: aperture camera rotate gives it one.")
    return hmac.digest(bytes.fromhex(key), signed, "sha256").hex().encode() + b"\n"
