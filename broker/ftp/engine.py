"""The one place that imports pyftpdlib.

It is built on asyncore and asynchat, which Python 3.11 calls deprecated (pyftpdlib brings their successors along for
3.12 and later): the warning is for its authors, not for ours to pass on.
"""

# pyftpdlib has no annotations, and nobody publishes any for it.
# pyright: reportMissingTypeStubs=false

import logging
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.handlers.ftp.dispatchers import PassiveDTP
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

# What it has to tell we tell ourselves, structured; without a handler it would set up one on stderr.
logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())
logging.getLogger("pyftpdlib").propagate = False

__all__ = ["DTPHandler", "FTPHandler", "FTPServer", "IOLoop", "PassiveDTP"]
