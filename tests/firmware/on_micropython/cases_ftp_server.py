"""The FTP client against a server that pytest runs."""

import os

from aa.ftp import Ftp, FtpError
from helpers import araises


async def three_photos_over_one_session(port, photo, digest):
    ftp = Ftp("127.0.0.1", int(port), "cam", "secret")
    await ftp.open()
    total = os.stat(photo)[6]
    for number in range(3):
        with open(photo, "rb") as file:
            await ftp.store("p{}.jpg".format(number), file, total, digest)
    assert await ftp.size("p2.jpg") == total
    await ftp.noop()
    await ftp.close()


async def the_rest_of_a_photo(port, photo, digest):
    ftp = Ftp("localhost", int(port), "cam", "secret")
    await ftp.open()
    have = await ftp.size("p0.jpg")
    assert have == 70_001
    with open(photo, "rb") as file:
        await ftp.store("p0.jpg", file, os.stat(photo)[6], digest, have)
    await ftp.close()


async def a_wrong_password(port):
    ftp = Ftp("127.0.0.1", int(port), "cam", "wrong")
    assert (await araises(FtpError, ftp.open())).code == 530
    assert not ftp.is_open
