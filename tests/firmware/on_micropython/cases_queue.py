"""The queue of photos in files."""

import json
import os
import time

from aa import photofiles, rescue
from aa.files import make_folder
from aa.queue import MediumError, Queue, StorageFull
from helpers import JPEG, PHOTOS, araises, facts_of, hexdigest, raises


async def _add(queue, index, **more):
    return await queue.add(memoryview(JPEG), facts_of(queue.next_seq(), PHOTOS[index], **more), time.ticks_ms())


def _write(path, data=b"x"):
    with open(path, "wb") as file:
        file.write(data)


async def a_photo_survives_a_restart_with_its_facts():
    entry = await _add(Queue("q"), 0)
    again = Queue("q")
    assert [one.photo for one in again] == [PHOTOS[0]]
    facts = again.facts(list(again)[0])
    assert facts["bytes"] == len(JPEG) and facts["sha256"] == hexdigest(JPEG)
    assert facts["stage_ms"]["captured"] == 1 and facts["stage_ms"]["queued"] >= 0
    with again.open(list(again)[0]) as file:
        assert file.read() == JPEG
    assert entry.fresh and not list(again)[0].fresh, "after a restart nobody knows what the server has"


async def torn_photos_are_removed_at_boot_and_whole_ones_stay():
    await _add(Queue("q"), 0)
    _write("q/00000002-" + PHOTOS[1] + ".jpg", JPEG[:100])  # cut before its marker
    _write("q/00000003-" + PHOTOS[2] + ".jpg", JPEG[:-1])
    _write("q/00000003-" + PHOTOS[2] + ".json.tmp", b"{")
    _write("q/00000004-" + PHOTOS[3] + ".sent", b"{}")  # cut while it was thrown away
    _write("q/readme.txt", b"not ours")
    queue = Queue("q")
    assert [one.photo for one in queue] == [PHOTOS[0]]
    assert sorted(os.listdir("q")) == [
        "00000001-" + PHOTOS[0] + ".jpg",
        "00000001-" + PHOTOS[0] + ".json",
        "readme.txt",
    ]


def _begun(ending, size, photo=0):
    """A photo of which the power left a whole picture and one marker, which says `size`."""
    base = "q/00000007-" + PHOTOS[photo]
    make_folder("q")
    _write(base + ".jpg", JPEG)
    _write(base + ending, json.dumps(facts_of(7, PHOTOS[0], bytes=size, sha256="x")).encode())


async def a_whole_picture_whose_marker_was_not_renamed_is_kept_with_it():
    _begun(".json.tmp", len(JPEG))
    queue = Queue("q")
    assert queue.facts(list(queue)[0])["sha256"] == "x" and Queue("q").photos() == [PHOTOS[0]]
    assert sorted(name[35:] for name in os.listdir("q")) == [".jpg", ".json"]


async def a_handed_over_photo_whose_marker_was_not_renamed_stays_handed_over():
    _begun(".sent.tmp", len(JPEG))
    queue = Queue("q")
    assert len(queue) == 0 and queue.photos() == [PHOTOS[0]]


async def a_whole_picture_without_a_marker_of_its_own_is_kept_and_measured():
    for ending, size, photo in ((".json.tmp", 5, 0), (".json.tmp.tmp", len(JPEG), 1), (".json.tmp", len(JPEG), 2)):
        _begun(ending, size, photo)
        queue = Queue("q")
        facts = queue.facts(queue.find(PHOTOS[photo]))
        assert (facts["photo"], facts["bytes"], facts["sha256"]) == (PHOTOS[photo], len(JPEG), hexdigest(JPEG))
    assert set(Queue("q").photos()) == set(PHOTOS[:3])


async def a_marker_that_cannot_be_read_just_now_is_not_written_over():
    queue = Queue("q")
    entry = await _add(queue, 0)

    def broken(path, *mode):
        if path.endswith(".json"):
            raise OSError(5)
        return open(path, *mode)

    photofiles.open = broken
    raises(MediumError, queue.facts, entry)
    del photofiles.open
    assert queue.facts(entry)["trigger"] == "button"


async def files_that_cannot_be_read_at_boot_are_left_alone():
    await _add(Queue("q"), 0)
    _write("q/00000002-" + PHOTOS[1] + ".jpg", JPEG[:100])
    os.mkdir("q/00000002-" + PHOTOS[1] + ".json.tmp")  # to read it is an OSError
    assert Queue("q").photos() == [PHOTOS[0]] and len(os.listdir("q")) == 4


async def order_is_the_order_of_the_shots():
    for index in (0, 1, 2):
        await _add(Queue("q"), index)
    assert [(one.seq, one.photo) for one in Queue("q")] == [(1, PHOTOS[0]), (2, PHOTOS[1]), (3, PHOTOS[2])]


async def a_photo_waits_until_it_is_announced_and_delivered():
    queue = Queue("q")
    entry = await _add(queue, 0)
    queue.mark(entry, delivered=True)
    assert len(queue) == 1 and len(Queue("q")) == 1
    queue.mark(entry, announced=True)
    assert len(queue) == 0 and len(Queue("q")) == 0
    assert os.stat("q/" + entry.name + ".jpg"), "it stays for a resend"


async def handed_over_photos_stay_within_bounds_and_their_numbers_go_on():
    queue = Queue("q", keep=2)
    for index in range(5):
        queue.mark(await _add(queue, index), announced=True, delivered=True)
    assert queue.photos() == [PHOTOS[3], PHOTOS[4]]
    assert len(os.listdir("q")) == 4
    assert Queue("q", keep=2).next_seq() == 6


async def a_resend_brings_a_handed_over_photo_back_also_over_a_restart():
    queue = Queue("q")
    entry = await _add(queue, 0)
    queue.mark(entry, announced=True, delivered=True)
    assert queue.again(PHOTOS[0]) and not queue.again(PHOTOS[1])
    assert [one.photo for one in queue] == [PHOTOS[0]] and entry.again and not entry.delivered
    assert len(Queue("q")) == 1


async def an_unreadable_marker_costs_no_photo():
    queue = Queue("q")
    entry = await _add(queue, 0)
    _write("q/" + entry.name + ".json", b"\x00\x00garbage")
    facts = Queue("q").facts(entry)
    assert facts["photo"] == PHOTOS[0] and facts["bytes"] == len(JPEG) and facts["sha256"] == hexdigest(JPEG)


async def a_picture_that_cannot_be_read_is_told_apart_from_a_lost_network():
    queue = Queue("q")
    entry = await _add(queue, 0)
    os.remove("q/" + entry.name + ".jpg")
    assert not isinstance(raises(MediumError, queue.open, entry), OSError)


async def a_full_queue_refuses_and_leaves_nothing_behind():
    queue = Queue("q", most=1)
    await _add(queue, 0)
    await araises(StorageFull, _add(queue, 1))
    assert queue.photos() == [PHOTOS[0]] and len(os.listdir("q")) == 2


async def a_card_that_fills_up_in_the_middle_leaves_nothing_behind():
    class Full(Queue):
        async def _write(self, entry, frame):
            await Queue._write(self, entry, frame)
            raise OSError(28)

    queue = Full("q")
    await araises(StorageFull, _add(queue, 0))
    assert os.listdir("q") == [] and len(queue) == 0


async def photos_on_flash_move_to_the_card_once_it_is_back():
    flash = Queue("flash")
    await _add(flash, 0)
    _write("flash/00000002-" + PHOTOS[1] + ".jpg", JPEG[:10])  # torn: has no marker
    assert rescue.move_photos("flash", "card")
    assert [one.photo for one in Queue("card")] == [PHOTOS[0]]
    with Queue("card").open(list(Queue("card"))[0]) as file:
        assert file.read() == JPEG
    assert os.listdir("flash") == []
    assert rescue.move_photos("card", "card") and rescue.move_photos("never", "card")
    raises(OSError, os.stat, "never")


async def one_photo_on_flash_that_cannot_be_moved_holds_up_no_other():
    flash = Queue("flash")
    for index in range(3):
        await _add(flash, index)
    os.remove("flash/00000001-" + PHOTOS[0] + ".jpg")
    os.mkdir("card")
    os.mkdir("card/00000002-" + PHOTOS[1] + ".jpg")
    assert rescue.move_photos("flash", "card"), "one found its place"
    assert [one.photo for one in Queue("card")] == [PHOTOS[2]]
    assert [one.photo for one in Queue("flash")] == [PHOTOS[1]]


async def a_card_that_can_only_be_read_is_told_from_a_full_one():
    await _add(Queue("flash"), 0)
    os.mkdir("card")
    os.mkdir("card/00000001-" + PHOTOS[0] + ".jpg")
    assert not rescue.move_photos("flash", "card")

    def full(*_):
        raise OSError(28)

    rescue._move = full
    assert rescue.move_photos("flash", "card")
    assert Queue("flash").photos() == [PHOTOS[0]]


async def a_command_finds_its_photo():
    queue = Queue("q")
    await _add(queue, 0)
    await _add(queue, 1, command="c1")
    assert (await Queue("q").find_command("c1")).photo == PHOTOS[1]
    assert await queue.find_command("c2") is None


async def a_photo_that_cannot_be_read_hides_no_other_from_its_command():
    queue = Queue("q")
    await _add(queue, 0, command="c1")
    broken = await _add(queue, 1)
    for ending in (".jpg", ".json"):
        os.remove(queue.path(broken, ending))
    assert (await queue.find_command("c1")).photo == PHOTOS[0]


def making_a_folder_twice_is_fine_but_not_over_a_file():
    make_folder("there")
    make_folder("there")
    raises(OSError, make_folder, "no/where")
