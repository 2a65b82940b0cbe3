"""A card with 2,000 photos that wait, on real FAT in RAM: what it costs to start, to take a photo, to hand one over."""

import gc
import time

from aa.ids import new_photo_id
from helpers import JPEG, PHOTOS, add_photo, facts_of, load_queue, open_queue
from medium import Medium

_MANY = 2_000


class Cost:
    """What is read and written within a `with`, in blocks of 512 bytes, and in milliseconds on this machine."""

    def __init__(self, medium, what):
        self._medium, self._what = medium, what

    def __enter__(self):
        self._medium.keep()
        self._medium.reads = 0
        self._started = time.ticks_us()
        return self

    def __exit__(self, *_):
        self.reads, self.writes = self._medium.reads, len(self._medium.written)
        microseconds = time.ticks_diff(time.ticks_us(), self._started)
        print(self._what, "reads", self.reads, "writes", self.writes, "us", microseconds)


async def two_thousand_photos_cost_a_photo_nothing():
    medium = Medium("fat16").format().mount("/card")
    queue = await load_queue("/card/photos")
    for count in range(_MANY):
        with Cost(medium, "add") if count in (30, 1_990) else medium as cost:
            await queue.add(memoryview(JPEG), facts_of(queue.next_seq(), new_photo_id()), time.ticks_ms())
        if count in (30, 1_990):
            assert cost.reads < 60 and cost.writes < 20
        if count % 50 == 0:
            await queue.tend()
            medium.keep()
            gc.collect()
    with Cost(medium, "boot until a photo can be taken") as cost:
        queue = open_queue("/card/photos")
    assert cost.reads < 60 and cost.writes == 0
    with Cost(medium, "first photo") as cost:
        await add_photo(queue, 0)
    assert cost.reads < 60
    with Cost(medium, "look through all") as cost:
        await queue.load()
    assert cost.reads < 2 * _MANY and cost.writes == 0 and len(queue) == _MANY + 1
    with Cost(medium, "mark") as cost:
        queue.mark(list(queue)[0], True, True)
    assert cost.reads < 30 and cost.writes < 6
    with Cost(medium, "find and offer the last again") as cost:
        assert await queue.again(PHOTOS[0])
    assert await _bytes_of_ram() < 20_000, "in words of 8 bytes"


async def _bytes_of_ram():
    gc.collect()
    before = gc.mem_alloc()
    queue = await load_queue("/card/photos")
    gc.collect()
    used = gc.mem_alloc() - before
    print("bytes of RAM", used, "photos", len(queue), "known", len(list(queue)))
    return used
