"""Handing photos over: which one, how often, and what happens when the server won't."""

import asyncio
import os
import time

from aa import troubles
from aa.ftpwire import FtpError, FtpLost
from aa.uploader import Uploader
from helpers import JPEG, PHOTOS, facts_of, load_queue, open_queue, until, write_bytes

_SECRETS = {"camera": "cam", "token": "t", "ftp": {"host": "127.0.0.1", "port": 1}}


class Session:
    """Stands at the transport's edge; `stored` is what was sent, in order, with where it began."""

    def __init__(self):
        self.opened, self.stored, self.asked, self.sizes, self.refusals = 0, [], [], {}, {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.prepared, self.is_prepared = 0, False

    async def open(self):
        self.opened += 1

    async def close(self):
        pass

    async def noop(self):
        pass

    async def prepare(self):
        self.prepared += 1
        self.is_prepared = True

    async def size(self, name):
        self.asked.append(name)
        return self.sizes.get(name, 0)

    async def store(self, name, file, total, digest, offset=0):
        await self.gate.wait()
        if self.refusals.get(name):
            raise self.refusals[name].pop(0)
        file.seek(offset)
        assert len(file.read()) == total - offset
        self.stored.append((name, offset))


class Wifi:
    async def wait_up(self):
        pass


def _name(index):
    return PHOTOS[index] + ".jpg"


async def _add(queue, index, ago_ms=None):
    entry = await queue.add(memoryview(JPEG), facts_of(queue.next_seq(), PHOTOS[index]), time.ticks_ms())
    if ago_ms is not None:
        entry.taken_ticks = time.ticks_add(time.ticks_ms(), -ago_ms)
    return entry


def _start(queue):
    uploader = Uploader(_SECRETS, queue, lambda entry: queue.mark(entry, announced=True, delivered=True))
    uploader._ftp = session = Session()
    return session, uploader, asyncio.create_task(uploader.run(Wifi()))


async def the_photo_just_taken_goes_first_and_then_the_oldest():
    queue = open_queue()
    for index in (0, 1, 2):
        await _add(queue, index)
    queue = await load_queue()  # they are of an earlier boot
    await _add(queue, 3, ago_ms=100)
    session, _, running = _start(queue)
    await until(lambda: not len(queue))
    assert [name for name, _ in session.stored] == [_name(3), _name(0), _name(1), _name(2)]
    running.cancel()


async def a_shot_during_an_upload_waits_its_turn_and_nobody_waits_for_it():
    queue = open_queue()
    await _add(queue, 0, ago_ms=0)
    session, uploader, running = _start(queue)
    session.gate.clear()
    await until(lambda: uploader.state == "sending")
    await _add(queue, 1, ago_ms=0)
    await _add(queue, 2, ago_ms=0)
    session.gate.set()
    await until(lambda: not len(queue))
    assert [name for name, _ in session.stored] == [_name(0), _name(2), _name(1)] and session.opened == 1
    running.cancel()


async def a_fresh_photo_is_not_asked_for_and_an_old_one_is_resumed():
    queue = open_queue()
    await _add(queue, 0)
    queue = await load_queue()
    session, _, running = _start(queue)
    session.sizes[_name(0)] = 100
    await _add(queue, 1, ago_ms=0)
    await until(lambda: not len(queue))
    assert session.asked == [_name(0)] and set(session.stored) == {(_name(1), 0), (_name(0), 100)}
    running.cancel()


async def what_the_server_has_in_full_is_not_sent_again_unless_it_asks():
    queue = open_queue()
    await _add(queue, 0)
    queue = await load_queue()
    session, _, running = _start(queue)
    session.sizes[_name(0)] = len(JPEG)
    await until(lambda: not len(queue))
    assert session.stored == []
    assert await queue.again(PHOTOS[0])
    await until(lambda: session.stored)
    assert session.stored == [(_name(0), 0)] and session.asked == [_name(0)]
    running.cancel()


async def a_longer_file_on_the_server_is_replaced():
    queue = open_queue()
    await _add(queue, 0)
    queue = await load_queue()
    session, _, running = _start(queue)
    session.sizes[_name(0)] = len(JPEG) + 1
    await until(lambda: session.stored)
    assert session.stored == [(_name(0), 0)]
    running.cancel()


async def a_refused_photo_is_put_off_and_holds_up_no_other():
    queue = open_queue()
    await _add(queue, 0)
    await _add(queue, 1)
    session, _, running = _start(queue)
    session.refusals[_name(0)] = [FtpError(553, "another photo")]
    await until(lambda: session.stored)
    assert [name for name, _ in session.stored] == [_name(1)] and session.opened == 1
    assert [entry.photo for entry in queue] == [PHOTOS[0]], "it is kept"
    next(iter(queue)).not_before_ticks = time.ticks_ms()
    queue.changed.set()
    await until(lambda: not len(queue))
    running.cancel()


async def bytes_that_rotted_on_the_card_are_not_blamed_on_the_server():
    """The server refuses both; the display says where to look, and both stay and are tried again."""
    for data, words in ((JPEG, troubles.PHOTO_REFUSED), (JPEG[:-3] + b"!" + JPEG[-2:], troubles.CARD)):
        queue = open_queue()
        entry = await _add(queue, 0)
        write_bytes(entry.base + ".jpg", data)
        session, uploader, running = _start(queue)
        session.refusals[_name(0)] = [FtpError(550, "other bytes")]
        await until(lambda: entry.refusals)
        assert uploader.trouble == words
        assert [one.photo for one in queue] == [PHOTOS[0]] and not queue.has_hope
        entry.not_before_ticks = time.ticks_ms()
        queue.changed.set()
        await until(lambda: not len(queue))
        running.cancel()


async def a_photo_whose_connection_broke_is_tried_again_soon():
    """The network is bad, not the photo: ten minutes of waiting would help nobody."""
    queue = open_queue()
    await _add(queue, 0)
    session, _, running = _start(queue)
    session.refusals[_name(0)] = [FtpError(426, "a part came"), FtpError(425, "no data connection")]
    started = time.ticks_ms()
    await until(lambda: session.stored)
    assert 400 <= time.ticks_diff(time.ticks_ms(), started) < 4_000
    running.cancel()


async def a_photo_that_gets_there_piece_by_piece_does_not_wait_longer_and_longer():
    """However often its connection breaks: each time the server has more of it."""
    queue = open_queue()
    entry = await _add(queue, 0)
    session, _, running = _start(queue)
    session.refusals[_name(0)] = [FtpError(426, "cut") for _ in range(5)]
    had = []

    async def size(name):
        had.append(len(had) + 1)
        return had[-1]

    session.size = size
    started = time.ticks_ms()
    await until(lambda: session.stored, 8_000)
    assert 2_000 < time.ticks_diff(time.ticks_ms(), started) < 6_000 and len(had) == 5
    assert entry.had == 5 and session.stored == [(_name(0), 5)]
    running.cancel()


async def a_photo_put_off_before_ticks_wrapped_is_not_put_off_for_days():
    queue = open_queue()
    entry = await _add(queue, 0)
    entry.not_before_ticks = time.ticks_add(time.ticks_ms(), 86_400_000)
    session, _, running = _start(queue)
    await until(lambda: session.stored)
    running.cancel()


async def a_photo_taken_before_ticks_wrapped_is_not_the_one_just_taken():
    queue = open_queue()
    await _add(queue, 0)
    await _add(queue, 1, ago_ms=-86_400_000)
    session, _, running = _start(queue)
    await until(lambda: not len(queue))
    assert [name for name, _ in session.stored] == [_name(0), _name(1)]
    running.cancel()


async def a_lost_session_is_opened_again_and_the_photo_resumed():
    queue = open_queue()
    await _add(queue, 0, ago_ms=0)
    session, _, running = _start(queue)
    session.refusals[_name(0)] = [FtpLost("gone"), OSError(104), FtpError(421, "too many"), asyncio.TimeoutError()]
    session.sizes[_name(0)] = 50
    await until(lambda: not len(queue), 15_000)
    assert session.opened == 5 and session.stored == [(_name(0), 50)]
    running.cancel()


async def a_photo_that_cannot_be_read_holds_up_no_other():
    queue = open_queue()
    broken = await _add(queue, 0)
    await _add(queue, 1)
    os.remove(broken.base + ".jpg")
    session, _, running = _start(queue)
    await until(lambda: session.stored)
    assert [name for name, _ in session.stored] == [_name(1)]
    running.cancel()


async def after_a_lost_network_the_session_is_not_trusted():
    queue = open_queue()
    session, uploader, running = _start(queue)
    await until(lambda: uploader.state == "up")
    uploader.drop("wifi lost")
    await until(lambda: session.opened == 2 and uploader.state == "up")
    running.cancel()


async def a_press_has_the_data_connection_opened_once():
    queue = open_queue()
    session, uploader, running = _start(queue)
    await until(lambda: uploader.state == "up")
    uploader.expect()
    await until(lambda: session.prepared == 1)
    await asyncio.sleep_ms(50)
    assert session.prepared == 1
    await _add(queue, 0, ago_ms=0)
    await until(lambda: not len(queue))
    running.cancel()


async def a_press_ends_the_pause_between_two_tries():
    queue = open_queue()
    session, uploader, running = _start(queue)
    opened = session.open

    async def refuse():
        await opened()
        raise OSError(111)

    session.open = refuse
    await until(lambda: session.opened == 4)
    assert uploader.trouble == troubles.NO_ANSWER
    session.open = opened
    started = time.ticks_ms()
    await until(lambda: uploader.state == "down")
    uploader.expect()
    await until(lambda: uploader.state == "up")
    assert time.ticks_diff(time.ticks_ms(), started) < 1_000 and uploader.trouble is None
    running.cancel()


async def a_full_server_is_shown_until_it_takes_a_photo():
    queue = open_queue()
    await _add(queue, 0)
    session, uploader, running = _start(queue)
    session.refusals[_name(0)] = [FtpError(452, "no room")]
    await until(lambda: uploader.lasting == troubles.SERVER_FULL)
    assert uploader.state == "up"
    next(iter(queue)).not_before_ticks = time.ticks_ms()
    queue.changed.set()
    await until(lambda: not len(queue))
    assert uploader.trouble is None
    running.cancel()


async def how_much_of_a_photo_has_left_is_known():
    queue = open_queue()
    session, uploader, running = _start(queue)
    entry = await _add(queue, 0)
    session.gate.clear()
    await until(lambda: uploader.sending is entry)
    assert (uploader.state, uploader.percent) == ("sending", 0)
    uploader._note_sent(30, 40)
    assert uploader.percent == 75 and not uploader.pulse.is_late()
    session.gate.set()
    await until(lambda: uploader.sending is None)
    running.cancel()


async def a_broken_connection_makes_no_later_refusal_cost_more():
    """Else the first 451 after a few breaks on a bad link would put a photo off for minutes."""
    queue = open_queue()
    entry = await _add(queue, 0)
    session, _, running = _start(queue)
    session.refusals[_name(0)] = [FtpError(426, "cut"), FtpError(426, "cut"), FtpError(451, "disk")]
    await until(lambda: entry.refusals == 1, 8_000)
    left_ms = time.ticks_diff(entry.not_before_ticks, time.ticks_ms())
    assert entry.breaks == 2 and 4_000 < left_ms <= 5_000
    running.cancel()
