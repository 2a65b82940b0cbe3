"""How wide words are, and how they are made to fit: smaller, in more lines, shortened in the middle, never cut off."""

from aa import glyphs

LETTER_PX = 8  # the height of the smallest letters; sizes 2 and 3 are times that
_LIKE = ("áàâãåéèêëíìîïóòôõøúùûñçýÁÀÂÃÅÉÈÊÍÎÓÒÔÚÙÑÇ–—’", "aaaaaeeeeiiiiooooouuuncyAAAAAEEEIIOOOUUNC--'")  # noqa: RUF001


def number_of(letter):
    """Return a letter's place in the font; one that it has not is drawn like another, or as a question mark."""
    code = ord(letter)
    if 32 <= code < 127:
        return code - 32
    place = glyphs.LETTERS.find(letter)
    if place < 0:
        like = _LIKE[0].find(letter)
        place = ord("?" if like < 0 else _LIKE[1][like]) - 32
    return place


def column_of(number):
    """Return how many columns come before a letter in the font."""
    return glyphs.OFFSETS[2 * number] | glyphs.OFFSETS[2 * number + 1] << 8


def width_of(words, size=1):
    """Return how many pixels wide a text is."""
    wide = -1
    for letter in words:
        wide += glyphs.WIDTHS[number_of(letter)] + 1
    return max(0, wide * size)


def shortened(words, room, size=1):
    """Return a text that fits into `room` pixels, without some of its middle if need be."""
    if width_of(words, size) <= room:
        return words
    half = (len(words) + 1) // 2
    head, tail = words[:half], words[half:]
    while head and width_of(head + "…" + tail, size) > room:
        if len(head) > len(tail):
            head = head[:-1]
        else:
            tail = tail[1:]
    return head.rstrip() + "…" + tail.lstrip()


def wrapped(words, room, size, most):
    """Return a text as at most so many lines, broken after a space or a hyphen; None when it does not fit so."""
    lines = [""]
    for part in words.replace("-", "-\n").replace(" ", " \n").split("\n"):
        if width_of((lines[-1] + part).rstrip(), size) <= room:
            lines[-1] += part
        else:
            lines.append(part)
    lines = [line.rstrip() for line in lines if line]
    if len(lines) > most or max(width_of(line, size) for line in lines) > room:
        return None
    return lines


def fitted(words, room, rows, sizes=(2, 1)):
    """Return (size, lines): in the first of these sizes that fits into so many rows, else in halves, else shortened."""
    for size in sizes:
        lines = wrapped(words, room, size, rows // (size * LETTER_PX))
        if lines is not None:
            return size, lines
    half = (len(words) + 1) // 2
    if rows >= 2 * LETTER_PX and max(width_of(words[:half]), width_of(words[half:])) <= room:
        return 1, [words[:half], words[half:]]
    return 1, [shortened(words, room)]
