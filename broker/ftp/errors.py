"""The errors of the FTP server, as a tree.

FtpError
├── RefusedError          a request that is answered with a 4xx or 5xx, in words
└── JpegError             bytes that are no JPEG
    └── JpegCutError      bytes that are the beginning of one: more may come
"""


class FtpError(Exception):
    """The root of what this package raises."""


class RefusedError(FtpError):
    """A request that is answered with a reply of RFC 959 that says what is wrong."""

    def __init__(self, code: int, text: str) -> None:
        """Take the reply's code (400 to 599) and its one line of text."""
        super().__init__(text)
        self.code = code

    @property
    def reply(self) -> str:
        """The reply as it is sent, without its line end."""
        return f"{self.code} {self}"


class JpegError(FtpError):
    """The bytes are no JPEG, or a broken one; the message says where."""


class JpegCutError(JpegError):
    """The bytes are the beginning of a JPEG: it may be whole once more has come."""
