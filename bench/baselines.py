"""What others do: stock pyftpdlib, alone or with a webhook called in `on_file_received`. Nothing here is durable."""

import sys
import tempfile

import requests
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.log import config_logging
from pyftpdlib.servers import FTPServer


class PostingHandler(FTPHandler):
    """Posts in the callback, as most hobby bridges do."""

    webhook = ""

    def on_file_received(self, file: str) -> None:
        """Post the file and forget it."""
        with open(file, "rb") as photo:  # noqa: PTH123 - as such code is written
            requests.post(
                f"{self.webhook}?wait=true", files={"files[0]": ("photo.jpg", photo, "image/jpeg")}, timeout=10
            )


def main(port: int, webhook: str | None) -> None:
    """Serve any user `bench` with password `bench`."""
    config_logging(level=40)
    handler = PostingHandler if webhook else FTPHandler
    PostingHandler.webhook = webhook or ""
    handler.authorizer = DummyAuthorizer()
    with tempfile.TemporaryDirectory(prefix="aperture-bench-") as folder:
        handler.authorizer.add_user("bench", "bench", folder, perm="elradfmwMT")
        server = FTPServer(("127.0.0.1", port), handler)
        server.max_cons = server.max_cons_per_ip = 512
        server.serve_forever(handle_exit=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
