"""Folders, room and numbers: what stays on a card, what goes, and how much of it is known in RAM."""

import os

from aa import files, photofiles, window
from aa.ids import new_photo_id
from aa.place import EACH, Place
from aa.queue import StorageFull
from helpers import (
    JPEG,
    PHOTOS,
    Os,
    add_many,
    add_photo,
    araises,
    drain,
    facts_of,
    files_in,
    hand_over,
    load_queue,
    open_queue,
    photos_in,
    write_bytes,
)


async def a_folder_holds_so_many_and_goes_when_it_is_empty():
    queue = open_queue(keep=3)
    await add_many(queue, 2 * EACH + 5)
    assert os.listdir("q") and sorted(os.listdir("q")) == ["000000", "000001", "000002"]
    assert len(os.listdir("q/000000")) == 2 * (EACH - 1) and len(os.listdir("q/000001")) == 2 * EACH
    await drain(queue)
    await queue.tend()
    assert os.listdir("q") == ["000002"] and len(photos_in()) == 3
    queue = await load_queue(keep=0)
    await queue.tend()
    assert files_in() == [] and queue.next_seq() == 2 * EACH + 6


async def thousands_wait_few_are_known_and_they_go_in_order():
    """Of 300 photos of two boots no more than a window is in RAM, and none is left out or swapped."""
    photos = await add_many(await load_queue(), 200)
    queue = await load_queue()
    photos += await add_many(queue, 100)
    assert len(queue) == 300 and len(list(queue)) <= 96
    most = []

    def hand(*words):
        most.append(len(list(queue)))
        queue.mark(*words)

    assert await drain(queue, hand) == photos and max(most) <= 96 and len(queue) == 0


async def photos_that_nobody_takes_hold_up_no_other_and_are_tried_again():
    photos = await add_many(await load_queue(), 200)
    bad = set(photos[:150])
    queue = await load_queue()
    taken = []
    window._ROUND_MS = 10_000_000
    while len(taken) < 50:
        await queue.tend()
        entry = [entry for entry in queue if not entry.refusals][0]
        if entry.photo in bad:
            entry.refusals += 1
        else:
            taken.append(entry.photo)
            queue.mark(entry, True, True)
    assert taken == photos[150:] and len(queue) == 150 and len(list(queue)) <= 96
    await queue.tend()
    assert not [entry for entry in queue if not entry.refusals], "they had their turn"
    window._ROUND_MS = 0
    tried = set()
    while tried != bad:
        await queue.tend()
        for entry in queue:
            tried.add(entry.photo)
            entry.refusals += 1


async def a_folder_that_could_not_be_read_for_once_is_read_again():
    """A card that hiccups, or RAM that is short for a moment: what waits there need not wait for the next boot."""
    photos = await add_many(await load_queue(), 10)
    real, window._ROUND_MS = Place.oldest, 0
    for failure in (OSError(5), MemoryError()):
        queue = open_queue()

        async def fails(*_):
            Place.oldest = real
            raise failure

        Place.oldest = fails
        try:
            await queue.load()
        except MemoryError:  # the part is started again
            await queue.load()
        await queue.tend()
        await queue.tend()
        assert Place.oldest is real and [entry.photo for entry in queue] == photos, failure


async def folders_may_go_while_a_photo_is_looked_for():
    """Others make room meanwhile, on a card that is nearly full."""
    queue = await load_queue()
    photos = await add_many(queue, 4 * EACH)
    await drain(queue)
    real = Place.find

    async def find(place, test):
        found = await real(place, test)
        while len(queue._shelves[0].places) > 2:
            assert await queue._shelves[0].prune()
        return found

    Place.find = find
    assert not await queue.again(photos[0]), "it went with them"
    assert await queue.again(photos[-1])


async def what_is_handed_over_goes_oldest_first_and_what_waits_stays():
    queue = open_queue()
    for index in range(6):
        entry = await add_photo(queue, index)
        if index in (1, 2, 4):
            await hand_over(queue, entry)
    most = [5]
    files.free_kb = lambda _: 10 if len(photos_in()) > most[0] else 1_000
    await add_photo(queue, 6)
    assert photos_in() == [PHOTOS[0]] + PHOTOS[2:7], "no more than need be"
    most = [3]
    await araises(StorageFull, add_photo(queue, 7))
    assert photos_in() == [PHOTOS[0], PHOTOS[3], PHOTOS[5], PHOTOS[6]], "none that waits"
    await hand_over(queue, queue.find(PHOTOS[5]))
    await add_photo(queue, 8)
    assert photos_in() == [PHOTOS[0], PHOTOS[3], PHOTOS[6], PHOTOS[8]]


async def a_card_that_was_full_unawares_gives_way_as_well():
    queue = open_queue()
    for index in range(3):
        await hand_over(queue, await add_photo(queue, index))
    queue = await load_queue()
    real = photofiles._write_picture

    async def full(path, frame):
        digest = await real(path, frame)
        if len(photos_in()) > 1:
            raise OSError(28)
        return digest

    photofiles._write_picture = full
    await add_photo(queue, 3)
    assert photos_in() == [PHOTOS[2], PHOTOS[3]]


async def room_is_made_though_not_all_folders_were_read_yet():
    queue = open_queue()
    for index in range(3):
        await hand_over(queue, await add_photo(queue, index))
    queue = open_queue()
    free_kb, files.free_kb = files.free_kb, lambda _: 10 if len(photos_in()) > 1 else 1_000
    await add_photo(queue, 3)
    files.free_kb = free_kb
    assert photos_in() == [PHOTOS[2], PHOTOS[3]]


async def a_photo_asked_for_once_more_is_not_deleted_though_it_was_next_to_go():
    queue = open_queue(keep=2)
    for index in range(3):
        queue.mark(await add_photo(queue, index), True, True)
    shelf = queue._shelves[0]
    assert await shelf.prune() and photos_in() == PHOTOS[1:3], "the rest of the list is remembered"
    assert await queue.again(PHOTOS[1]) and await shelf.prune()
    assert photos_in() == [PHOTOS[1]] and not await shelf.prune() and len(await load_queue()) == 1


async def photos_of_the_version_before_are_handed_over_from_their_folder():
    os.mkdir("queue")
    for seq in range(1, 81):
        base = "queue/{:08d}-{}".format(seq, new_photo_id())
        write_bytes(base + ".jpg", JPEG)
        facts = facts_of(seq, base[-26:], bytes=len(JPEG), sha256="x")
        files.write_json(base + (".sent" if seq <= 8 else ".json"), facts)
    write_bytes("queue/00000081-" + PHOTOS[0] + ".jpg", JPEG[:50])  # torn
    for taken in (81, 80):  # the torn one goes
        queue = await load_queue(flat="queue", keep=4)
        assert (len(queue), [one.seq for one in queue]) == (72, list(range(9, 41)))
        assert queue.next_seq() == taken + 1
    await add_photo(queue, 1)
    queue = await load_queue(flat="queue", keep=4)
    assert queue.next_seq() == 82 and not [one for one in files_in("queue") if one.startswith("00000081")]
    seqs = []
    while len(queue):
        entry = list(queue)[0]
        seqs.append(queue.facts(entry)["seq"])
        await hand_over(queue, entry)
    assert seqs == list(range(9, 82))
    assert "queue" not in os.listdir()


async def numbers_go_on_whatever_becomes_of_the_card():
    first = await add_many(open_queue("one"), EACH + 3)
    assert open_queue("one").next_seq() == EACH + 4
    assert open_queue("two").next_seq() == 2 * EACH, "what the other card had is not counted twice"
    await add_photo(open_queue("two"), 0)
    assert open_queue("one").next_seq() == 3 * EACH
    os.remove("notes.json")
    assert open_queue("one").next_seq() == EACH + 4 and len(await load_queue("one")) == len(first)


async def an_empty_folder_says_that_its_numbers_are_taken():
    await add_many(open_queue(), EACH)
    for name in files_in():
        if name.startswith("000001"):
            os.remove("q/" + name)
    os.remove("notes.json")
    assert open_queue().next_seq() == 2 * EACH


async def a_folder_with_someone_elses_file_stays_and_is_used():
    queue = open_queue(keep=0)
    await add_many(queue, EACH)
    write_bytes("q/000000/holiday.jpg", b"x")
    await drain(queue)
    assert files_in() == ["000000/holiday.jpg"]
    assert len(await load_queue(keep=0)) == 0


async def a_folder_that_cannot_be_read_costs_no_other():
    await add_many(open_queue(), 2 * EACH)

    def listing(path):
        if path == "q/000001":
            raise OSError(5)
        return os.ilistdir(path)

    files.os = Os(ilistdir=listing)
    queue = await load_queue()
    assert len(queue) == EACH and not await queue.again(PHOTOS[0])
    await add_photo(queue, 0)
    assert await queue.again_all() == EACH + 1


async def a_folder_that_failed_while_all_were_counted_is_looked_at_again():
    """Not at the next boot, and not for ever."""
    photos = await add_many(open_queue(), EACH + 3)
    for failure in (OSError(5), MemoryError()):
        failures = [failure] * 2

        def listing(path):
            if path == "q/000000" and failures:
                raise failures.pop()
            return os.ilistdir(path)

        files.os = Os(ilistdir=listing)
        queue = await load_queue()
        assert len(queue) == 4 and queue.is_counted
        await queue.tend()
        assert len(queue) == 4 and not failures
        await queue.tend()
        assert len(queue) == len(photos)
    looks = []

    def never(path):
        if path == "q/000000":
            looks.append(path)
            raise OSError(5)
        return os.ilistdir(path)

    files.os = Os(ilistdir=never)
    queue = await load_queue()
    for _ in range(20):
        await queue.tend()
    assert len(queue) == 4 and len(looks) == 5
    files.os = os
    assert await drain(await load_queue()) == photos
