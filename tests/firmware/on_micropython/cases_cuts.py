"""Power cuts on real FAT and real LittleFS, which do in several writes what looks like one.

Each case does one thing and cuts it after each of its writes (or after one in `every`, chosen by `seed`). Then the
camera boots: no photo that waited is gone, what is there is whole, and the camera can go on for as long as it likes.
"""

import gc
import os

from aa import files, photofiles
from aa.journal import Journal
from aa.notes import Notes
from aa.place import EACH
from aa.queue import Queue
from aa.settings import Settings
from aa.shelf import Shelf
from helpers import JPEG, PHOTOS, add_photo, facts_of, hand_over, hexdigest, photos_in, write_bytes
from medium import Medium

_NEW = PHOTOS[-4:]
_FIRST = EACH - 3  # so that a few photos fill a folder, and begin another


def _queue(root, keep=512):
    return Queue([Shelf("Card", root + "/photos", root + "/queue", keep=keep)], Notes(root + "/notes.json"))


async def _loaded(root, keep=512):
    queue = _queue(root, keep)
    await queue.load()
    return queue


async def _add(queue, index):
    return await add_photo(queue, index, taken_at_ms=1_795_000_000_000 + index)


class Bench:
    """A medium with a queue; `check` boots from each state that a power cut may leave of what was done since `keep`."""

    def __init__(self, kind, every, seed):
        self._every, self._seed = int(every), int(seed)
        self._medium = Medium(kind).format().mount("/card")
        self.keep = self._medium.keep

    async def open(self):
        """Return the queue, whose first photo is the third from the end of a folder."""
        queue = await _loaded("/card")
        queue._notes.skip(_FIRST - 1)
        return queue

    async def check(self, waiting, done=(), spoilt=(), nameless=0):
        """The photos `waiting` wait at each cut, and of those `done` whichever will.

        All but those `spoilt` have their facts; so many as `nameless` may be there under an id that nobody saw yet.
        """
        for number, medium in self._medium.cuts(self._every, self._seed):
            medium.mount("/cut")
            queue = await _loaded("/cut")
            when = "cut {}".format(number)
            numbers = self._look(queue, waiting, done, spoilt, nameless, when)
            await self._go_on(queue, numbers)
            queue = await _loaded("/cut")
            self._look(queue, list(waiting) + _NEW[1:], list(done) + _NEW[:1], spoilt, nameless, "after " + when)
            await self._hand_over_all(list(waiting) + _NEW[1:])
            gc.collect()
        self.keep()

    def _look(self, queue, waiting, done, spoilt, nameless, when):
        entries = list(queue)
        known = {entry.photo for entry in entries}
        assert len(queue) == len(entries) == len(known), when
        assert len({entry.seq for entry in entries}) == len(entries), "two have one number, " + when
        assert not set(waiting) - known, "lost, " + when
        assert len(known - set(waiting) - set(done)) <= nameless, "came from nowhere, " + when
        for entry in entries:
            facts = queue.facts(entry)
            with queue.open(entry) as file:
                assert file.read() == JPEG, "torn, " + when
            assert (facts["photo"], facts["bytes"], facts["sha256"]) == (entry.photo, len(JPEG), hexdigest(JPEG)), when
            assert "taken_at_ms" in facts or entry.photo not in PHOTOS or entry.photo in spoilt, when
        return {entry.seq for entry in entries}

    async def _go_on(self, queue, numbers):
        """What a camera does next: it takes photos, and hands one over."""
        for photo in _NEW:
            entry = await _add(queue, PHOTOS.index(photo))
            assert entry.seq not in numbers
            numbers.add(entry.seq)
        await hand_over(queue, queue.find(_NEW[0]))

    async def _hand_over_all(self, photos):
        """All can be handed over and thrown away, and of the folders two are left at most."""
        queue = await _loaded("/cut", keep=0)
        handed = set()
        while len(queue):
            for entry in queue:
                handed.add(entry.photo)
                await hand_over(queue, entry)
        await queue.tend()
        assert set(photos) <= handed and photos_in("/cut") == []
        assert len([name for name in os.listdir("/cut/photos") if name.isdigit()]) <= 2


async def while_photos_are_written(kind, every, seed):
    """In the middle of a folder, and where the next one begins."""
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    await _add(queue, 0)
    for index in range(1, 6):
        bench.keep()
        await _add(queue, index)
        await bench.check(PHOTOS[:index], PHOTOS[index : index + 1], nameless=1)


async def while_a_folder_grows(kind, every, seed):
    """Until FAT clears a folder's new piece, it shows what was there: bytes of pictures, or what looks like files."""
    looks_like_files = b"HOLIDAY JPG\x20" + bytes(8) + b"\x00\x00" + bytes(4) + b"\x07\x00\x00\x02\x00\x00"
    looks_deleted = b"\xe5" + looks_like_files[1:]
    for stale in (Medium.stale, looks_like_files * 16, (looks_like_files + looks_deleted) * 8, bytes(range(256)) * 2):
        Medium.stale = stale
        bench = Bench(kind, every, seed)
        queue = await _loaded("/card")
        for index in range(12):
            bench.keep()
            await hand_over(queue, await _add(queue, index)) if index % 4 == 1 else await _add(queue, index)
            done = [PHOTOS[at] for at in range(index + 1) if at % 4 == 1 or at == index]
            waiting = [photo for photo in PHOTOS[:index] if photo not in done]
            await bench.check(waiting, done, nameless=1)


async def while_photos_are_marked_and_offered_again(kind, every, seed):
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    for index in range(6):
        await _add(queue, index)
    done = []
    for index in range(6):
        bench.keep()
        queue.mark(queue.find(PHOTOS[index]), True, True)
        done.append(PHOTOS[index])
        await bench.check([photo for photo in PHOTOS[:6] if photo not in done], done)
        if index % 2:
            assert await queue.again(PHOTOS[index])
            await bench.check([photo for photo in PHOTOS[:6] if photo not in done], done)
            done.pop()
    assert await queue.again_all() == 6
    await bench.check([photo for photo in PHOTOS[:6] if photo not in done], done)


async def while_handed_over_photos_are_deleted(kind, every, seed):
    """The last of a folder takes the folder with it."""
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    for index in range(8):
        entry = await _add(queue, index)
        if index not in (4, 6):
            await hand_over(queue, entry)
    bench.keep()
    while await queue._shelves[0].prune():
        pass
    assert len(photos_in("/card")) == 2 and len(os.listdir("/card/photos")) == 1
    await bench.check([PHOTOS[4], PHOTOS[6]])


async def while_facts_that_are_garbage_are_written_anew(kind, every, seed):
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    for index in range(3):
        await _add(queue, index)
    queue._newest = None  # whose facts it would know without reading
    for index in range(3):
        entry = queue.find(PHOTOS[index])
        write_bytes(entry.base + ".txt", b"\x00garbage")
        bench.keep()
        assert queue.facts(entry)["trigger"] == "unknown"
        others = [photo for photo in PHOTOS[:3] if photo != PHOTOS[index]]
        await bench.check(others, [PHOTOS[index]], PHOTOS[: index + 1], nameless=1)


async def while_a_boot_mends_what_a_cut_left(kind, every, seed):
    """A second power cut, in the boot after the first."""
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    for index in range(5):
        await _add(queue, index)
    bases = [queue.find(photo).base for photo in PHOTOS[:5]]
    os.remove(bases[0] + ".txt")
    write_bytes(bases[1] + ".txt", b"")
    os.remove(bases[2] + ".txt")
    write_bytes(bases[2] + ".jpg", JPEG[:200])
    os.remove(bases[3] + ".jpg")
    bench.keep()
    await _loaded("/card")
    await bench.check([PHOTOS[4]], nameless=2)


async def while_the_folder_of_the_version_before_is_emptied(kind, every, seed):
    bench = Bench(kind, every, seed)
    os.mkdir("/card/queue")
    for seq in range(1, 6):
        base = "/card/queue/{:08d}-{}".format(seq, PHOTOS[seq - 1])
        write_bytes(base + ".jpg", JPEG)
        facts = facts_of(seq, PHOTOS[seq - 1], taken_at_ms=seq, bytes=len(JPEG), sha256=hexdigest(JPEG))
        files.write_json(base + (".sent" if seq == 4 else ".json"), facts)
    os.rename(base + ".json", base + ".json.tmp")
    bench.keep()
    queue = await _loaded("/card", keep=0)
    await _add(queue, 5)
    await bench.check(PHOTOS[:3] + [PHOTOS[4]], [PHOTOS[5]], [PHOTOS[4]], nameless=1)
    for index in range(3):
        await hand_over(queue, queue.find(PHOTOS[index]))
        await bench.check(PHOTOS[index + 1 : 3] + PHOTOS[4:6], [PHOTOS[index]])


async def while_a_camera_lives(kind, every, seed):
    """Photos are taken, handed over, asked for again and thrown away in any order, over boots."""
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    done, spare = [], list(range(len(PHOTOS) - 4))
    for step in range(40):
        waiting = [entry.photo for entry in queue]
        bench.keep()
        what = (int(seed) * 31 + step * step * 7) % 8
        if what < 4 and spare:
            await _add(queue, spare.pop(0))
        elif what < 6 and waiting:
            photo = waiting[step % len(waiting)]
            queue.mark(queue.find(photo), True, True)
            done.append(photo)
        elif what == 6 and done:
            await queue.again(done[step % len(done)])
        elif done:
            await queue._shelves[0].prune()
            queue = await _loaded("/card")
        now = [entry.photo for entry in queue]
        sure = [photo for photo in waiting if photo in now]
        await bench.check(sure, waiting + now, nameless=1)


async def while_a_press_makes_room(kind, every, seed):
    bench = Bench(kind, every, seed)
    queue = await bench.open()
    for index in range(4):
        await hand_over(queue, await _add(queue, index))
    await _add(queue, 4)
    queue = _queue("/card")
    free_kb, files.free_kb = files.free_kb, lambda _: 10 if len(photos_in("/card")) > 2 else 1_000
    bench.keep()
    await _add(queue, 5)
    files.free_kb = free_kb
    assert photos_in("/card") == PHOTOS[3:6]
    await bench.check([PHOTOS[4]], [PHOTOS[5]], nameless=1)


async def while_a_card_that_failed_has_its_twin_on_flash(kind, every, seed):
    """What the card has of a photo that went to flash is no second photo, whenever the power goes."""
    media = [Medium(kind).format().mount("/card"), Medium("littlefs").format().mount("/flash")]

    def opened(card, flash):
        return Queue([Shelf("Card", card + "/photos"), Shelf("Flash", flash + "/photos")], Notes(flash + "/notes.json"))

    def failing(path, facts):
        if path.startswith("/card"):
            raise OSError(5)
        write(path, facts)

    write, photofiles.write_facts = photofiles.write_facts, failing
    remove, files.remove = files.remove, lambda _: None
    await _add(opened("/card", "/flash"), 0)
    photofiles.write_facts, files.remove = write, remove
    card = Medium(kind, media[0]._blocks, media[0]._stale_from).mount("/cut")
    for medium in media:
        medium.keep()
    queue = opened("/card", "/flash")
    await queue.load()
    await hand_over(queue, queue.find(PHOTOS[0]))
    for number, flash in media[1].cuts(int(every), int(seed)):
        flash.mount("/cut2")
        queue = opened("/cut", "/cut2")
        await queue.load()
        assert {entry.photo for entry in queue} <= {PHOTOS[0]}, "doubled at cut {}".format(number)
    assert card


def while_commands_and_settings_are_written_down(kind, every, seed):
    """At each cut there is what was written before, or what was being written; and it can be written again."""
    medium = Medium(kind).format().mount("/card")
    journal = Journal("/card/commands.json")
    journal.begin("c0", "shutter")
    settings = Settings("/card/settings.json", {})
    settings.change({"quality": 50})
    for step in range(1, 4):
        medium.keep()
        journal.begin("c{}".format(step), "shutter")
        journal.finish("c{}".format(step), True)
        settings.change({"quality": 50 + step})
        for number, cut in medium.cuts(int(every), int(seed)):
            cut.mount("/cut")
            again = Journal("/cut/commands.json")
            assert again.find("c{}".format(step - 1)), "forgot what it had done, cut {}".format(number)
            quality = Settings("/cut/settings.json", {})["quality"]
            assert quality in (49 + step, 50 + step), "{} at cut {}".format(quality, number)
            for more in range(3):
                again.begin("d{}".format(more), "identify")
                Settings("/cut/settings.json", {}).change({"quality": 70 + more})
            again = Journal("/cut/commands.json")
            assert again.find("c{}".format(step - 1)) and again.find("d0") and again.find("d2")
            assert Settings("/cut/settings.json", {})["quality"] == 72


def while_a_boot_mends_settings_that_a_cut_left(kind, every, seed):
    """A second cut, in what the first one made necessary; whatever was kept is there, and can be written again."""
    medium = Medium(kind).format().mount("/card")
    settings = Settings("/card/settings.json", {})
    settings.change({"quality": 50})
    medium.keep()
    settings.change({"quality": 51})
    for number, cut in medium.cuts():
        cut.keep()
        cut.mount("/cut")
        known = Settings("/cut/settings.json", {})["quality"]
        for second, again in cut.cuts(int(every), int(seed)):
            again.mount("/again")
            when = "cuts {} and {}".format(number, second)
            assert Settings("/again/settings.json", {})["quality"] == known, when
            for more in range(3):
                Settings("/again/settings.json", {}).change({"quality": 60 + more})
                assert Settings("/again/settings.json", {})["quality"] == 60 + more, when
            assert known in (50, 51), when


def while_a_file_is_mended_again_and_again(kind, every, seed):
    """Cut in a change, in the mending of it, and in what comes next: no file of others is spoilt by shared clusters.

    Names lie wherever a folder has room: on FAT one may be in another block than the next.
    """
    for others in range(0, 16, 3):
        medium = Medium(kind).format().mount("/card")
        for count in range(others):
            write_bytes("/card/{}".format(count))
        files.write_json("/card/settings.json", {"quality": 50})
        medium.keep()
        files.write_json("/card/settings.json", {"quality": 51})
        for first, changed in medium.cuts(int(every), int(seed)):
            changed.keep()
            changed.mount("/cut")
            known = files.read_json("/cut/settings.json", {})
            assert known in ({"quality": 50}, {"quality": 51}), first
            _cut_again(changed, known, every, seed, "cut {}".format(first))
        gc.collect()


def _cut_again(medium, known, every, seed, when):
    for second, mended in medium.cuts(int(every), int(seed)):
        mended.keep()
        mended.mount("/again")
        assert files.read_json("/again/settings.json", {}) == known, "{}, {}".format(when, second)
        for count in range(2):
            mended.mount("/again")  # what was freed is taken first
            write_bytes("/again/{}.jpg".format(count), bytes((count,)) * 900)
            files.write_json("/again/settings.json", {"quality": 60 + count})
        for third, last in mended.cuts(int(every), int(seed)):
            _others_are_whole(last, known, "{}, {} and {}".format(when, second, third))


def _others_are_whole(medium, known, when):
    medium.mount("/last")
    at = (known, {"quality": 60}, {"quality": 61}).index(files.read_json("/last/settings.json", {}))
    for more in range(2):
        medium.mount("/last")
        write_bytes("/last/more{}.jpg".format(more), bytes((9,)) * 900)
    for count in range(at):
        with open("/last/{}.jpg".format(count), "rb") as file:
            assert file.read() == bytes((count,)) * 900, when
