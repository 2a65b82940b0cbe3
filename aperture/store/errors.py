"""The errors of the store, as a tree.

StoreError
├── StoreUnavailableError   the database or the disk does not answer; nothing was changed; try again
├── NotFoundError           no row of that name
├── ConflictError           a row of that name is there already, or belongs to another
├── DiskFullError           no room for the bytes; nothing was changed
└── DamagedError            the bytes are not those that were stored
"""


class StoreError(Exception):
    """The root of what this package raises."""


class StoreUnavailableError(StoreError):
    """The database or the disk does not answer; nothing was changed and the same call may work later."""


class NotFoundError(StoreError):
    """There is no row of that name."""


class ConflictError(StoreError):
    """A row of that name is there already, or belongs to another camera."""


class DiskFullError(StoreError):
    """There is no room for the bytes; nothing was changed."""


class DamagedError(StoreError):
    """The bytes on the disk are not those that were stored."""
