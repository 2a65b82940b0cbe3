"""A folder of the host as a file system of the camera.

`VfsPosix` does nearly all of it; but its `rename` below a root of its own gets both names wrong (they share a buffer).
"""

import vfs

_host = vfs.VfsPosix()


class Folder:
    """A file system to mount, rooted at the host's absolute `path`."""

    def __init__(self, path):
        self._path = path
        self._files = vfs.VfsPosix(path)

    def __getattr__(self, name):
        return getattr(self._files, name)

    def rename(self, old, new):
        """Rename a file; an existing one is replaced."""
        _host.rename(self._path + old, self._path + new)
