"""The queue of photos in files."""

import asyncio
import os
import time

from aa import files, photofiles
from aa.files import make_folder
from aa.ids import new_photo_id, recovered_photo_id
from aa.place import EACH
from aa.queue import MediumError, StorageFull
from helpers import (
    JPEG,
    PHOTOS,
    Os,
    add_photo,
    araises,
    facts_of,
    files_in,
    hand_over,
    hexdigest,
    load_queue,
    open_queue,
    photos_in,
    raises,
    write_bytes,
)


async def a_photo_survives_a_restart_with_its_facts():
    entry = await add_photo(open_queue(), 0)
    again = await load_queue()
    assert [one.photo for one in again] == [PHOTOS[0]]
    facts = again.facts(list(again)[0])
    assert facts["bytes"] == len(JPEG) and facts["sha256"] == hexdigest(JPEG)
    assert facts["stage_ms"]["captured"] == 1 and facts["stage_ms"]["queued"] >= 0
    with again.open(list(again)[0]) as file:
        assert file.read() == JPEG
    assert entry.fresh and not list(again)[0].fresh, "after a restart nobody knows what the server has"


async def torn_photos_are_removed_at_boot_and_whole_ones_stay():
    await add_photo(open_queue(), 0)
    write_bytes("q/000000/02.jpg", JPEG[:100])  # cut before its facts
    write_bytes("q/000000/03.jpg", JPEG[:-1])
    write_bytes("q/000000/04.ok", b"")  # cut while it was thrown away
    write_bytes("q/000000/05.txt", b"{}")
    write_bytes("q/000000/05.ok", b"")
    write_bytes("q/000000/readme.txt", b"not ours")
    write_bytes("q/000000/77.jpg", b"not ours")
    queue = await load_queue()
    assert [one.photo for one in queue] == [PHOTOS[0]] and len(queue) == 1
    assert files_in() == ["000000/01.jpg", "000000/01.txt", "000000/77.jpg", "000000/readme.txt"]


async def a_whole_picture_without_facts_was_never_announced_and_is_kept_under_a_new_id():
    """Of its number and its bytes: the same at each boot, even if it can't be written down."""
    make_folder("q")
    make_folder("q/000000")
    write_bytes("q/000000/07.jpg", JPEG)
    write_bytes("q/000000/08.jpg", JPEG)
    write_bytes("q/000000/08.txt", b"")
    write_bytes("q/000000/09.jpg", JPEG)
    write_bytes("q/000000/09.txt", b'{"photo": "abc')
    queue = await load_queue()
    entries = list(queue)
    assert [entry.seq for entry in entries] == [7, 8, 9] and len(queue) == 3 and queue.next_seq() == 10
    for entry in entries:
        facts = queue.facts(entry)
        assert (facts["photo"], facts["seq"], facts["bytes"]) == (entry.photo, entry.seq, len(JPEG))
        assert facts["sha256"] == hexdigest(JPEG) and facts["trigger"] == "unknown"
        assert entry.photo == recovered_photo_id(entry.seq, hexdigest(JPEG))
        files.remove(entry.base + ".txt")
    assert [entry.photo for entry in await load_queue()] == [entry.photo for entry in entries], "and keeps it"


async def facts_that_cannot_be_read_just_now_are_not_written_over():
    queue = open_queue()
    entry = await add_photo(queue, 0)
    await add_photo(queue, 1)  # only of the newest is it still known

    def broken(path, *mode):
        if path.endswith(".txt"):
            raise OSError(5)
        return open(path, *mode)

    photofiles.open = broken
    raises(MediumError, queue.facts, entry)
    del photofiles.open
    assert queue.facts(entry)["trigger"] == "button"


async def files_that_cannot_be_read_at_boot_are_left_alone():
    await add_photo(open_queue(), 0)
    write_bytes("q/000000/02.jpg", JPEG)
    os.mkdir("q/000000/02.txt")  # to read it is an OSError
    os.remove("q/000000/01.ok") if "01.ok" in os.listdir("q/000000") else None
    assert [one.photo for one in await load_queue()] == [PHOTOS[0]] and len(os.listdir("q/000000")) == 4


async def order_is_the_order_of_the_shots():
    for index in (0, 1, 2):
        await add_photo(open_queue(), index)
    found = [(one.seq, one.photo) for one in await load_queue()]
    assert found == [(1, PHOTOS[0]), (2, PHOTOS[1]), (3, PHOTOS[2])]


async def a_photo_waits_until_it_is_announced_and_delivered():
    queue = open_queue()
    entry = await add_photo(queue, 0)
    queue.mark(entry, delivered=True)
    assert len(queue) == 1 and len(await load_queue()) == 1
    queue.mark(entry, announced=True)
    queue.mark(entry, announced=True)
    assert len(queue) == 0 and len(await load_queue()) == 0
    assert os.stat(entry.base + ".jpg"), "it stays for a resend"


async def a_handed_over_photo_comes_back_when_it_is_asked_for_also_over_restarts():
    queue = open_queue()
    await hand_over(queue, await add_photo(queue, 0))
    await add_photo(queue, 1)
    for _ in range(2):
        queue = await load_queue()
        assert await queue.again(PHOTOS[0]) and not await queue.again(PHOTOS[5])
        assert [one.photo for one in queue] == PHOTOS[:2] and len(queue) == 2
        entry = queue.find(PHOTOS[0])
        assert entry.again and not entry.delivered and not entry.announced
        assert len(await load_queue()) == 2, "it waits, until it is handed over once more"
        await hand_over(queue, entry)
        assert len(await load_queue()) == 1


async def a_photo_that_the_server_asks_for_is_looked_for_and_need_not_be_announced():
    queue = open_queue()
    await hand_over(queue, await add_photo(queue, 0))
    queue = await load_queue()
    queue.want(PHOTOS[5])
    queue.want(PHOTOS[0])
    await queue.tend()
    assert queue.find(PHOTOS[0]).announced and queue.find(PHOTOS[0]).again and len(queue) == 1
    queue.find(PHOTOS[0]).again = False
    queue.want(PHOTOS[0])
    assert queue.find(PHOTOS[0]).again, "one that is known is not looked for"


async def all_can_be_asked_for_at_once():
    queue = open_queue()
    for index in range(4):
        entry = await add_photo(queue, index)
        if index % 2:
            await hand_over(queue, entry)
    queue = await load_queue()
    queue.find(PHOTOS[0]).announced = True
    assert await queue.again_all() == 4 and photos_in(done=True) == []
    await queue.tend()
    assert [one.photo for one in queue] == PHOTOS[:4] and not [one for one in queue if one.announced]


async def facts_that_are_garbage_cost_no_photo():
    entry = await add_photo(open_queue(), 0)
    queue = await load_queue()
    write_bytes(entry.base + ".txt", b"\x00\x00garbage")
    facts = queue.facts(list(queue)[0])
    assert facts["photo"] == PHOTOS[0] and facts["bytes"] == len(JPEG) and facts["sha256"] == hexdigest(JPEG)


async def a_picture_that_cannot_be_read_is_told_apart_from_a_lost_network():
    queue = open_queue()
    entry = await add_photo(queue, 0)
    os.remove(entry.base + ".jpg")
    assert not isinstance(raises(MediumError, queue.open, entry), OSError)


async def a_full_queue_refuses_in_words_and_leaves_nothing_behind():
    queue = open_queue(most=1)
    await add_photo(queue, 0)
    assert str(await araises(StorageFull, add_photo(queue, 1))).startswith("Card full: 1 photos wait")
    assert queue.trouble == ("Card full", "bring near Wi-Fi")
    assert photos_in() == [PHOTOS[0]] and len(files_in()) == 2
    await hand_over(queue, queue.find(PHOTOS[0]))
    assert queue.trouble is None, "there is room once it is handed over"
    await add_photo(queue, 1)


async def there_is_hope_for_what_was_not_refused():
    """A camera that is to sleep waits for such photos, and for no others."""
    queue = open_queue()
    assert not queue.has_hope
    first, second = await add_photo(queue, 0), await add_photo(queue, 1)
    first.refusals = 1
    assert queue.has_hope
    second.refusals = 2
    assert not queue.has_hope
    second.breaks, second.refusals = 3, 0
    assert queue.has_hope, "the network broke, which may pass at once"


async def a_card_that_fills_up_in_the_middle_leaves_nothing_behind():
    async def full(path, frame):
        write_bytes(path, frame[:100])
        raise OSError(28)

    photofiles._write_picture = full
    queue = open_queue()
    await araises(StorageFull, add_photo(queue, 0))
    assert files_in() == [] and len(queue) == 0 and queue.trouble


async def a_command_finds_its_photo():
    queue = open_queue()
    await add_photo(queue, 0)
    await hand_over(queue, await add_photo(queue, 1, command="c1"))
    assert await open_queue().find_command("c1") == PHOTOS[1]
    assert await queue.find_command("c2") is None


async def a_photo_that_cannot_be_read_hides_no_other_from_its_command():
    queue = open_queue()
    await add_photo(queue, 0, command="c1")
    broken = await add_photo(queue, 1)
    for ending in (".jpg", ".txt"):
        os.remove(broken.base + ending)
    assert await queue.find_command("c1") == PHOTOS[0]


async def a_press_need_not_wait_until_all_folders_were_read():
    queue = open_queue()
    for index in range(4):
        await add_photo(queue, index)
    listed = []

    def listing(path):
        listed.append(path)
        return os.ilistdir(path)

    files.os = Os(ilistdir=listing)
    queue = open_queue()
    assert listed == ["q", "q/000000"], "the newest folder tells the number"
    entry = await add_photo(queue, 4)
    assert entry.seq == 5 and len(queue) == 1 and list(queue) == [entry]
    await queue.load()
    assert [one.photo for one in queue] == PHOTOS[:5] and len(queue) == 5


def making_a_folder_twice_is_fine_but_not_over_a_file():
    make_folder("there")
    make_folder("there")
    raises(OSError, make_folder, "no/where")


async def the_queue_looks_after_itself_as_long_as_it_runs():
    queue = open_queue()
    for _ in range(3 * EACH):
        await queue.add(memoryview(JPEG), facts_of(queue.next_seq(), new_photo_id()), time.ticks_ms())
    queue = open_queue(keep=5)
    running = asyncio.create_task(queue.run())
    count = 0
    while count < 3 * EACH:
        for entry in queue:
            queue.mark(entry, True, True)
            count += 1
        queue.changed.clear()
        if count < 3 * EACH:
            await asyncio.wait_for(queue.changed.wait(), 5)
    while len(photos_in()) > 5:
        await asyncio.sleep_ms(5)
    running.cancel()
