"""The FTP server that cameras hand their photos over to: a 226 means complete, verified, on disk, in the database.

pyftpdlib speaks the protocol in one event loop; a commit thread makes uploads durable in batches.

- `FtpServer` (in `server`) starts and stops it all.
- The way of a photo: `session` (STOR) → `data` and `transfer` (bytes into a partial file) → `commit` and `batch` (the
  commit thread) → `verify`, `known` and `jpeg` (is it the photo, and whole?) → the reply, back in `session`.
- What else a client can do is in `control`, `folders` and `paths`; what a crash leaves is put right by `sweep`.
"""

from broker.ftp.errors import FtpError
from broker.ftp.server import FtpServer

__all__ = ["FtpError", "FtpServer"]
