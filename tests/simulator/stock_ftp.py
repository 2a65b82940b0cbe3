"""A stock pyftpdlib server with the account cam:secret: `python -W ignore stock_ftp.py FOLDER PORT [HOST]`; prints its port.

A process of its own, because its asyncore is deprecated and warnings are errors here, and because it can be killed.
"""

import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


class Handler(FTPHandler):
    """Stock, but for its log."""

    authorizer = DummyAuthorizer()


def main() -> None:
    """Serve until killed."""
    logging.disable()
    folder, port, host = (*sys.argv[1:], "127.0.0.1")[:3]
    Handler.authorizer.add_user("cam", "secret", folder, perm="elradfmw")
    server = FTPServer((host, int(port)), Handler)
    print(server.address[1], flush=True)  # noqa: T201
    server.serve_forever()


main()
