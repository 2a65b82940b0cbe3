"""Card and flash: where a photo goes when one of them is not there, full, or fails."""

from aa import files, photofiles
from aa.place import EACH
from aa.queue import StorageFull
from aa.storage import Storage
from helpers import (
    PHOTOS,
    Os,
    add_many,
    add_photo,
    araises,
    break_writes,
    drain,
    files_in,
    hand_over,
    photos_in,
    write_bytes,
)


def _storage(card="card", most=64):
    for folder in ("card", "flash"):
        files.make_folder(folder)
    return Storage(card, "flash", most)


async def photos_go_to_flash_once_the_card_takes_no_more_and_from_there_to_the_server():
    storage = _storage()
    await add_photo(storage.queue, 0)
    mend = break_writes("card")
    await add_photo(storage.queue, 1)
    assert storage.is_failing and photos_in("flash/photos") == [PHOTOS[1]] and len(storage.queue) == 2
    storage = _storage()
    assert not storage.is_failing and storage.folder == "card/photos", "it does not start anew for ever"
    await storage.queue.load()
    assert [one.photo for one in storage.queue] == PHOTOS[:2], "what is on the card can still be handed over"
    await add_photo(storage.queue, 2)
    assert photos_in("flash/photos") == PHOTOS[1:3] and not storage.is_failing
    mend()
    storage = _storage()
    await add_photo(storage.queue, 3)
    assert photos_in("card/photos") == [PHOTOS[0], PHOTOS[3]]
    await storage.queue.load()
    assert [one.photo for one in storage.queue] == PHOTOS[:4], "in the order that they were taken"
    assert await drain(storage.queue) == PHOTOS[:4]


async def photos_go_to_flash_once_the_card_is_full():
    """Said to be full it still is; from both they go in order, and then to the card again."""
    storage = _storage()
    storage.queue._shelves[0]._most = 2
    await add_many(storage.queue, 3)
    assert len(photos_in("card/photos")) == 2 and len(photos_in("flash/photos")) == 1
    assert storage.queue.trouble == ("Card full", "bring near Wi-Fi") and not storage.is_failing
    storage.queue._shelves[1]._most = 1
    await araises(StorageFull, add_photo(storage.queue, 3))
    assert storage.queue.trouble == ("Card full", "bring near Wi-Fi")
    assert len(await drain(storage.queue)) == 3 and storage.queue.trouble is None
    await add_photo(storage.queue, 3)
    assert len(photos_in("card/photos")) == 3


async def without_a_card_photos_wait_on_flash_and_their_numbers_go_on():
    await add_many(_storage().queue, EACH)
    storage = _storage(card=None, most=2)
    assert storage.folder == "flash/photos" and not storage.is_failing
    await add_photo(storage.queue, 0)
    assert list(storage.queue)[0].seq == 2 * EACH, "after all that may be on the card"
    await add_photo(storage.queue, 1)
    await araises(StorageFull, add_photo(storage.queue, 2))
    assert storage.queue.trouble == ("Flash full", "bring near Wi-Fi")
    storage = _storage()
    await storage.queue.load()
    assert len(storage.queue) == EACH + 2 and (await drain(storage.queue))[-2:] == PHOTOS[:2]


async def where_too_many_wait_nothing_is_deleted_in_vain():
    queue = _storage(card=None, most=2).queue
    await hand_over(queue, await add_photo(queue, 0))
    for index in (1, 2):
        await add_photo(queue, index)
    await araises(StorageFull, add_photo(queue, 3))
    assert photos_in("flash/photos") == PHOTOS[:3], "room would not have helped"


async def a_quarter_of_the_flash_is_left_to_others():
    free = [700]
    files.os = Os(statvfs=lambda _: (1024, 1024, 2048, free[0], free[0], 0, 0, 0, 0, 255))
    queue = _storage(card=None).queue
    free[0] = 512 + 64
    await add_photo(queue, 0)
    free[0] -= 1
    await araises(StorageFull, add_photo(queue, 1))


async def a_card_that_cannot_be_read_at_all_is_left_out():
    write_bytes("card")
    storage = Storage("card", ".", 64)
    assert storage.folder == "./photos" and not storage.is_failing
    await add_photo(storage.queue, 0)
    assert photos_in("photos") == [PHOTOS[0]]


async def a_photo_that_is_on_both_is_handed_over_as_one():
    """The card failed after the picture, or after its facts, so it was written to flash too: it is no second photo."""
    storage = _storage()
    write, remove = photofiles.write_facts, files.remove

    def before(path, facts):
        if path.startswith("card"):
            raise OSError(5)
        write(path, facts)

    def after(path, facts):
        write(path, facts)
        before(path, facts)

    for index, broken in enumerate((before, after)):
        photofiles.write_facts, files.remove = broken, lambda _: None
        await add_photo(storage.queue, index)
        photofiles.write_facts, files.remove = write, remove
        storage = _storage()
    assert files_in("card/photos") == ["000000/01.jpg", "000000/02.jpg", "000000/02.txt"]
    await storage.queue.load()
    assert [one.photo for one in storage.queue] == PHOTOS[:2]
    assert await drain(storage.queue) == PHOTOS[:2] and len(storage.queue) == 0
    assert photos_in("flash/photos", True) == PHOTOS[:2] and photos_in("card/photos", True) == [PHOTOS[1]]
    assert files_in("card/photos") == ["000000/02.jpg", "000000/02.ok", "000000/02.txt"]


async def a_twin_counts_for_nothing_while_its_card_is_still_in():
    """Written to flash after its facts were on the card: one photo waits, and then none."""
    storage = _storage()
    await add_photo(storage.queue, 0)
    write, remove = photofiles.write_facts, files.remove

    def after(path, facts):
        write(path, facts)
        if path.startswith("card"):
            raise OSError(5)

    photofiles.write_facts, files.remove = after, lambda _: None
    await add_photo(storage.queue, 1)
    photofiles.write_facts, files.remove = write, remove
    assert len(storage.queue) == 2
    assert await drain(storage.queue) == PHOTOS[:2]
    assert len(storage.queue) == 0
    assert photos_in("card/photos", True) == PHOTOS[:2], "the twin waits no longer, either"
