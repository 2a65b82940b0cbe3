"""Power cuts on a real FAT, which does in several writes what looks like one: cut after each of them in turn."""

import gc
import os
import time

import vfs

from aa.queue import Queue
from helpers import JPEG, PHOTOS, facts_of, hexdigest

_BLOCK = 512


class Card:
    """A block device in RAM; `written` holds what was written since `image` was taken, write by write."""

    def __init__(self, image):
        self.blocks, self.reads = image, 0
        self.keep()

    def keep(self):
        self.image, self.written = bytes(self.blocks), []

    def readblocks(self, block, buffer):
        self.reads += 1
        buffer[:] = self.blocks[block * _BLOCK : block * _BLOCK + len(buffer)]

    def writeblocks(self, block, buffer):
        self.written.append((block, bytes(buffer)))
        self.blocks[block * _BLOCK : block * _BLOCK + len(buffer)] = buffer

    def ioctl(self, asked, _):
        return {4: len(self.blocks) // _BLOCK, 5: _BLOCK}.get(asked, 0)


def _card(blocks=256):
    card = Card(bytearray(blocks * _BLOCK))
    vfs.VfsFat.mkfs(card)
    vfs.mount(vfs.VfsFat(card), "/card")
    return card


async def _add(queue, index, **more):
    facts = facts_of(queue.next_seq(), PHOTOS[index], taken_at_ms=1_795_000_000_000 + index, **more)
    return await queue.add(memoryview(JPEG), facts, time.ticks_ms())


async def _cut_everywhere(card, whole, spoilt=0):
    """Boot after each write of `card`; each time `whole` are there, and outlive what is written next.

    Of all with a marker, but the first `spoilt`, it is still known when they were taken.
    """
    image = bytearray(card.image)
    for cut in range(len(card.written) + 1):
        vfs.mount(vfs.VfsFat(Card(bytearray(image))), "/cut")
        marked = {name[9:35] for name in os.listdir("/cut/queue") if name[35:] in (".json", ".sent")}
        queue = Queue("/cut/queue")
        assert not set(whole) - set(queue.photos()), "lost after write {}".format(cut)
        await _work_on(queue)
        _check(Queue("/cut/queue"), whole, marked - set(PHOTOS[:spoilt]), "after write {}".format(cut))
        vfs.umount("/cut")
        gc.collect()
        if cut < len(card.written):
            block, data = card.written[cut]
            image[block * _BLOCK : block * _BLOCK + len(data)] = data


async def _work_on(queue):
    """What a camera does next: read all markers, take photos, hand some over."""
    for index in range(len(PHOTOS) - 4, len(PHOTOS)):
        await _add(queue, index)
        for entry in queue:
            queue.facts(entry)
    for entry in list(queue)[:2]:
        queue.mark(entry, announced=True, delivered=True)


def _check(queue, whole, marked, when):
    assert not set(whole + PHOTOS[-4:]) - set(queue.photos()), "lost " + when
    for photo in queue.photos():
        entry = queue.find(photo)
        facts = queue.facts(entry)
        with queue.open(entry) as file:
            assert file.read() == JPEG, "torn " + when
        assert (facts["bytes"], facts["sha256"]) == (len(JPEG), hexdigest(JPEG)), when
        assert "taken_at_ms" in facts or photo not in marked, "marker lost " + when
    assert not [name for name in os.listdir("/cut/queue") if name.endswith(".tmp")], when


async def a_cut_while_a_photo_is_written_costs_none_before_it():
    card = _card()
    queue = Queue("/card/queue")
    for index in range(4):
        await _add(queue, index)
    for index in range(4, 7):
        card.keep()
        await _add(queue, index)
        await _cut_everywhere(card, PHOTOS[:index])


async def a_cut_while_a_photo_is_marked_or_offered_again_costs_none():
    card = _card()
    queue = Queue("/card/queue")
    for index in range(6):
        await _add(queue, index)
    for index in range(6):
        card.keep()
        queue.mark(queue.find(PHOTOS[index]), announced=True, delivered=True)
        if index % 2:
            queue.again(PHOTOS[index])
        await _cut_everywhere(card, PHOTOS[:6])


async def a_cut_while_an_unreadable_marker_is_written_anew_costs_no_photo():
    card = _card()
    queue = Queue("/card/queue")
    for index in range(6):
        await _add(queue, index)
    for index in range(3):
        entry = queue.find(PHOTOS[index])
        with open(queue.path(entry, ".json"), "wb") as file:
            file.write(b"\x00garbage")
        card.keep()
        assert queue.facts(entry)["trigger"] == "unknown"
        await _cut_everywhere(card, PHOTOS[:6], index + 1)


async def a_boot_reads_a_large_folder_once():
    card = _card()
    queue = Queue("/card/queue")
    for index in range(len(PHOTOS)):
        await _add(queue, index)
    card.reads = 0
    Queue("/card/queue")
    assert card.reads < 4 * len(PHOTOS), card.reads
