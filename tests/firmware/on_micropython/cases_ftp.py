"""The FTP client against scripted servers: ours, and ones that refuse, lie, or go away."""

import asyncio
import time

from aa.ftp import PREPARED_MS, Ftp
from aa.ftpwire import FtpError, FtpLost, passive_port
from aa.queue import MediumError
from helpers import JPEG, araises, hexdigest, raises, serve, until

_DATA = JPEG * 40


class Server:
    """An FTP server whose answers are given: {first word: reply}; `commands` and `stored` hold what came."""

    def __init__(self, **replies):
        self.replies = {
            "USER": "331 password",
            "PASS": "230 in",
            "TYPE": "200 binary",
            "FEAT": "211-Extensions\r\n SITE SHA256\r\n211 End",
            "SITE": "200 noted",
            "ALLO": "202 fine",
            "REST": "350 go on",
            "STOR": "150 go",
            "SIZE": "550 none",
            "NOOP": "200 here",
            "END": "226 stored",
        }
        self.replies.update(replies)
        self.commands, self.reads, self.stored = [], [], b""
        self.held = asyncio.Event()  # the data connection is read from only once this is set
        self.held.set()
        self.after_refusal = self._gone = None

    async def start(self):
        self._data_stream, self._data_came = None, asyncio.Event()
        self._control, port = await serve(self._serve)
        self._passive, self._port = await serve(self._accept)
        return Ftp("127.0.0.1", port, "cam", "secret")

    async def _accept(self, reader, writer):
        self._data_stream = reader
        self._data_came.set()

    async def _serve(self, reader, writer):
        await self._say(writer, "220-hello\r\n 220 not yet\r\n220 ready")
        rest = b""
        while True:
            data = await reader.read(1024)
            if not data:
                return
            self.reads.append(data)
            rest += data
            while b"\r\n" in rest:
                at = rest.find(b"\r\n")
                line, rest = rest[:at].decode(), rest[at + 2 :]
                self.commands.append(line)
                await self._answer(writer, line.split()[0])
                if writer is self._gone:
                    return

    async def _answer(self, writer, word):
        if word == "EPSV":
            await self._say(writer, self.replies.get("EPSV", "229 here (|||{}|)".format(self._port)))
        elif word == "STOR" and self.replies["STOR"][0] == "1":
            await self._say(writer, self.replies["STOR"])
            await self._receive()
            await self._say(writer, self.replies["END"])
        else:
            if word == "STOR":
                self._data_stream.s.close()
                self.replies["STOR"], refusal = self.after_refusal or self.replies["STOR"], self.replies["STOR"]
                await self._say(writer, refusal)
                return
            await self._say(writer, self.replies[word])

    async def _receive(self):
        await self._data_came.wait()
        self._data_came.clear()
        await self.held.wait()
        self.stored = await self._data_stream.read()
        self._data_stream.s.close()

    async def _say(self, writer, reply):
        if reply == "close":
            self._gone = writer
            writer.s.close()
            return
        writer.write((reply + "\r\n").encode())
        await writer.drain()


def _file(data=_DATA):
    with open("photo.jpg", "wb") as file:
        file.write(data)
    return open("photo.jpg", "rb")


async def _store(ftp, offset=0):
    with _file() as file:
        await ftp.store("p.jpg", file, len(_DATA), hexdigest(_DATA), offset)


async def a_photo_takes_one_write_before_its_bytes():
    server = Server()
    ftp = await server.start()
    await ftp.open()
    count = len(server.reads)
    await _store(ftp)
    assert server.stored == _DATA
    wanted = "SITE SHA256 {}\r\nALLO {}\r\nSTOR p.jpg\r\n".format(hexdigest(_DATA), len(_DATA))
    assert server.reads[count] == b"EPSV\r\n" and server.reads[count + 1].decode() == wanted
    assert server.commands[:4] == ["USER cam", "PASS secret", "TYPE I", "FEAT"]


async def what_is_prepared_at_the_press_leaves_nothing_to_wait_for():
    server = Server()
    ftp = await server.start()
    await ftp.open()
    await ftp.prepare()
    count = len(server.reads)
    await _store(ftp)
    assert server.stored == _DATA and server.reads[count].startswith(b"SITE SHA256")
    assert len(server.reads) == count + 1
    await _store(ftp)
    assert server.reads[count + 1] == b"EPSV\r\n", "each data connection serves once"


async def a_prepared_connection_that_was_dropped_costs_a_new_one_and_no_photo():
    for ours in (True, False):
        server = Server(**({} if ours else {"FEAT": "500 what?", "SIZE": "213 {}".format(len(_DATA))}))
        ftp = await server.start()
        await ftp.open()
        await ftp.prepare()
        await until(server._data_came.is_set)
        server._data_stream.s.close()
        server._data_came.clear()
        stor, server.replies["STOR"] = server.replies["STOR"], "425 no data connection"
        server.after_refusal = stor
        await _store(ftp)
        assert server.stored == _DATA and server.commands.count("EPSV") == 2
        await ftp.close()


async def a_connection_prepared_long_ago_is_not_relied_upon():
    server = Server()
    ftp = await server.start()
    await ftp.open()
    await ftp.prepare()
    await until(server._data_came.is_set)
    server._data_came.clear()
    ftp._data_ticks = time.ticks_add(ftp._data_ticks, -PREPARED_MS)
    await _store(ftp)
    assert server.stored == _DATA and server.commands.count("EPSV") == 2


async def our_server_gets_the_bytes_before_it_says_150():
    server = Server(STOR="150 go")
    ftp = await server.start()
    await ftp.open()
    answer, server._answer = server._answer, None

    async def held(writer, word):
        if word == "STOR":  # no 150 before all bytes are here
            await server._receive()
            await server._say(writer, "150 go\r\n226 stored")
        else:
            await answer(writer, word)

    server._answer = held
    await _store(ftp)
    assert server.stored == _DATA


async def a_foreign_server_gets_no_byte_before_its_150_and_is_asked_for_the_size():
    server = Server(FEAT="500 what?", SIZE="213 {}".format(len(_DATA)))
    ftp = await server.start()
    await ftp.open()
    await _store(ftp)
    assert server.stored == _DATA and server.commands[-1] == "SIZE p.jpg"


async def a_foreign_server_that_has_only_a_part_has_not_got_the_photo():
    server = Server(FEAT="502 no", SIZE="213 100")
    ftp = await server.start()
    await ftp.open()
    assert (await araises(FtpError, _store(ftp))).code == 426


async def a_resume_sends_the_rest_only():
    server = Server()
    ftp = await server.start()
    await ftp.open()
    await _store(ftp, 1000)
    assert server.stored == _DATA[1000:] and "REST 1000" in server.commands


async def a_server_that_cannot_resume_gets_it_all():
    server = Server(REST="502 no")
    ftp = await server.start()
    await ftp.open()
    await _store(ftp, 1000)
    assert server.stored == _DATA


async def refusals_have_their_code_and_leave_the_session_good():
    for word, reply in (
        ("STOR", "553 another photo"),
        ("END", "451 hash differs"),
        ("EPSV", "425 no port"),
        ("ALLO", "552 too big"),
    ):
        server = Server(**{word: reply})
        ftp = await server.start()
        await ftp.open()
        cause = await araises(FtpError, _store(ftp))
        assert cause.code == int(reply[:3]), word
        await ftp.noop()
        server.replies.update({"STOR": "150 go", "END": "226 stored", "ALLO": "202 fine"})
        server.replies.pop("EPSV", None)
        server._data_came.clear()
        await _store(ftp)
        assert server.stored == _DATA
        await ftp.close()


async def a_session_that_ends_is_lost_not_refused():
    for word in ("SITE", "EPSV", "END", "STOR"):
        server = Server(**{word: "close"})
        ftp = await server.start()
        await ftp.open()
        try:
            await _store(ftp)
        except FtpError:
            raise AssertionError(word)
        except (FtpLost, OSError):
            await ftp.close()
            continue
        raise AssertionError("it raised nothing")


async def a_refused_login_says_so():
    server = Server(PASS="530 wrong")
    ftp = await server.start()
    assert (await araises(FtpError, ftp.open())).code == 530
    assert not ftp.is_open


async def a_card_that_fails_is_not_taken_for_the_network():
    class Broken:
        def seek(self, offset):
            raise OSError(5)

        readinto = seek

    class Half(Broken):
        def seek(self, offset):
            pass

    for file in (Broken(), Half()):
        ftp = await Server().start()
        await ftp.open()
        await araises(MediumError, ftp.store("p.jpg", file, 10, "0" * 64))
        await ftp.close()


async def a_server_that_talks_without_end_is_left():
    for reply in ("200 " + "x" * 2_000, "hello", "\x00\xff\xfe"):
        server = Server(NOOP=reply)
        ftp = await server.start()
        await ftp.open()
        await araises(FtpLost, ftp.noop())
        await ftp.close()


async def a_size_is_a_number_or_nothing():
    for reply, size in (("213 77", 77), ("550 none", 0), ("213 x", 0), ("500 what?", 0)):
        server = Server(SIZE=reply)
        ftp = await server.start()
        await ftp.open()
        assert await ftp.size("p.jpg") == size
        await ftp.close()


async def a_line_break_never_gets_into_a_command():
    server = Server()
    ftp = await server.start()
    await ftp.open()
    await araises(ValueError, ftp.size("p.jpg\r\nDELE x"))


def ports_are_read_as_rfc_2428_has_them():
    assert passive_port("Entering (|||6446|)") == 6446
    for text in ("", "(|||x|)", "(127,0,0,1,1,2)", "||||"):
        raises(FtpLost, passive_port, text)
