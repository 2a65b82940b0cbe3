"""The display: what goes over its bus, how long that takes, and what can be seen of it."""

import asyncio
import random

from aa import screens
from aa.display import BRIGHT, DARK, DIM, Display
from aa.lettering import LETTER_PX, fitted, shortened, width_of

_PANEL = {"sda": 1, "scl": 2, "width": 128, "height": 64, "address": 0x3C}
_HEADER = {"name": "front-door", "bars": 3, "battery": 68, "plugged": False}


def _view(**more):
    everything = dict(_HEADER)
    everything.update(more)
    return everything


def _opened():
    display = Display(_PANEL)
    display.open()
    return display


def _spent_us(display):
    spent, display.bus.busy_us = display.bus.busy_us, 0
    return spent


async def only_pages_that_changed_are_sent_and_nothing_waits_for_more_than_one():
    display = _opened()
    _spent_us(display)
    steps = []

    async def others():
        while True:
            steps.append(_spent_us(display))
            await asyncio.sleep_ms(0)

    watching = asyncio.create_task(others())
    await display.show(screens.uploading, _view(number=1, percent=10, queue=1))
    steps.append(_spent_us(display))
    whole_us = sum(steps)
    assert 20_000 < whole_us < 30_000 and max(steps) < 4_000, (whole_us, max(steps))
    steps.clear()
    await display.show(screens.uploading, _view(number=1, percent=10, queue=1))
    assert sum(steps) + _spent_us(display) == 0
    await display.show(screens.uploading, _view(number=1, percent=11, queue=1))
    steps.append(_spent_us(display))
    assert 0 < sum(steps) < whole_us * 3 // 4, "the header stays as it is"
    watching.cancel()


async def the_flash_takes_less_than_a_millisecond_and_no_pixels():
    display = _opened()
    await display.show(screens.ready, _view(queue=0, note=""))
    memory = bytes(display.bus.memory)
    _spent_us(display)
    display.flash()
    assert _spent_us(display) < 1_000 and display.bus.is_inverse and bytes(display.bus.memory) == memory


async def a_dark_panel_has_the_flash_in_its_memory():
    display = _opened()
    await display.show(screens.flash, _view())
    flash = display.bus.seen()
    await display.show(screens.ready, _view(queue=0, note=""))
    display.off()
    assert not display.bus.is_on and display.light == DARK and display.lines[2] == "Ready"
    display.flash()
    assert display.bus.seen() == flash and display.bus.contrast == BRIGHT


async def a_panel_that_was_set_up_before_deep_sleep_flashes_before_it_is_opened():
    before = _opened()
    await before.show(screens.sleeping, _view(until=""))
    before.off()
    after = Display(_PANEL)
    after.bus = before.bus
    after.flash()
    assert after.bus.is_on and after.bus.is_inverse
    after.open()
    assert after.bus.is_on, "and it does not go dark for being set up"
    await after.show(screens.flash, _view())
    assert after.bus.is_inverse


async def what_is_seen_first_is_whole():
    display = _opened()
    assert not display.bus.is_on
    seen = []
    real = display.bus._tell
    display.bus._tell = lambda: (seen.append(display.bus.seen()), real())
    await display.show(screens.boot, _view(version="0.1.0", board="aa3"))
    assert len(set(seen)) == 2 and seen[0] == bytes(1024) and seen[-1] == display.bus.seen(), "dark, then all of it"


async def light_follows():
    display = _opened()
    for light in (BRIGHT, DIM, DARK, DIM):
        display.shine(light)
        assert display.bus.is_on == (light != DARK) and (light == DARK or display.bus.contrast == light)


async def a_panel_that_was_lost_is_found_again():
    from aa import display as module

    display = _opened()
    real = display.bus.writeto

    def broken(*_):
        raise OSError(19)

    display.bus.writeto = broken
    await display.show(screens.ready, _view(queue=0, note=""))
    display.flash()
    display.blink()
    display.off()
    assert display.lines[2] == "Ready", "in words it is there all the same"
    display.bus.writeto = real
    await display.show(screens.ready, _view(queue=1, note=""))
    assert display.light == DARK, "not at each try: that takes time"
    module._AGAIN_MS = 0
    await display.show(screens.ready, _view(queue=1, note=""))
    assert display.bus.is_on and display.lines[3] == "1 photo to send"


async def a_camera_without_one_says_the_same():
    none, one = Display(None), _opened()
    none.open()
    for display in (none, one):
        await display.show(screens.queued, _view(queue=3, why=""))
        display.flash()
        display.blink()
        display.off()
    assert none.lines == one.lines == ["front-door", "signal good, battery 68%", "3 photos", "will send when online"]


async def a_moved_screen_is_the_same_a_pixel_further():
    here, there = _opened(), _opened()
    await here.show(screens.ready, _view(queue=0, note=""))
    await there.show(screens.ready, _view(queue=0, note=""), BRIGHT, 3)
    for y in range(63):
        for x in range(127):
            before = here.bus.memory[y // 8 * 128 + x] >> y % 8 & 1
            assert there.bus.memory[(y + 1) // 8 * 128 + x + 1] >> (y + 1) % 8 & 1 == before


def _words():
    letters = "abcWMi-. é漢ß1"
    return "".join(letters[random.randrange(len(letters))] for _ in range(random.randrange(1, 40)))


def any_words_fit():
    random.seed(7)
    for _ in range(400):
        words, room, rows = _words(), random.randrange(40, 124), random.randrange(8, 50)
        assert width_of(shortened(words, room)) <= room
        size, lines = fitted(words, room, rows)
        assert size * LETTER_PX * len(lines) <= max(rows, LETTER_PX), (words, room, rows, lines)
        assert all(width_of(line, size) <= room for line in lines), (words, room, rows, lines)
        plain = "".join(lines).replace(" ", "")
        assert "…" in plain or plain == words.replace(" ", ""), "nothing is left out but where it is told"


async def no_words_reach_an_edge():
    random.seed(8)
    for height in (64, 32):
        panel = dict(_PANEL)
        panel["height"] = height
        display = Display(panel)
        display.open()
        for _ in range(15):
            words = _words()
            more = {"name": words, "where": words, "step": random.randrange(3), "attempt": 7, "trouble": (words, words)}
            more.update({
                "note": words,
                "queue": 1000,
                "until": words,
                "version": words,
                "board": words,
                "percent": 100,
            })
            more.update({"number": 10_000, "after_ms": 59_999})
            for draw in (screens.boot, screens.connecting, screens.ready, screens.sleeping, screens.updating):
                await display.show(draw, _view(**more))
                assert not _edges(display.bus.memory, height), (draw, words)


def _edges(memory, height):
    lit = 0
    for page in range(height // 8):
        for x in (0, 1, 126, 127):
            lit |= memory[page * 128 + x]
    return lit
