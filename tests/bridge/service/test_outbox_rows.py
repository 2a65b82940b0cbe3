"""The outbox's rows by themselves: each target once, in order, and nothing forgotten."""

import pytest

from aperture.clock import now_ms
from aperture.contract.messages import Manifest
from aperture.store import events, lease, outbox, photos
from aperture.store.outbox import DeliveryState

TARGET = "discord:1"
LEASE = ("bridge", "me")


@pytest.fixture
def rows(archive):
    archive.database.write(lambda c: lease.take(c, name=LEASE[0], holder=LEASE[1], now_ms=now_ms(), ttl_ms=60_000))
    return archive.database.write


def fan_out(rows, after=0, target=TARGET):
    return rows(lambda c: outbox.fan_out(c, target=target, after=after, now_ms=now_ms()))


def claim(rows, **more):
    return rows(lambda c: outbox.claim(c, target=TARGET, lease=LEASE, now_ms=more.pop("at_ms", now_ms()), **more))


def test_a_photo_is_delivered_to_a_target_once(archive, rows) -> None:
    """Reading the same events again makes no second delivery."""
    photo = archive.new_photo()
    archive.store(photo)
    assert [event.kind for event in fan_out(rows)] == ["photo.stored"]
    fan_out(rows)
    assert claim(rows).photo == photo.id
    assert claim(rows) is None
    assert rows(lambda c: events.cursor(c, outbox.CURSOR)) == rows(events.last_id)


def test_a_claim_that_was_rolled_back_was_never_made(archive, rows) -> None:
    photo = archive.new_photo()
    archive.store(photo)
    fan_out(rows)

    def fail(connection):
        assert outbox.claim(connection, target=TARGET, lease=LEASE, now_ms=now_ms())
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        rows(fail)
    assert claim(rows).attempts == 1


def test_claims_come_in_the_order_taken_and_within_their_window(archive, rows) -> None:
    base = now_ms() - 10_000
    stored = [archive.new_photo() for _ in range(3)]
    for number in (2, 0, 1):
        archive.store(stored[number], received_ms=base + number * 1000)
    fan_out(rows)
    assert claim(rows, taken_from_ms=base + 1500).photo == stored[2].id
    assert claim(rows, taken_before_ms=base + 1500).photo == stored[0].id
    assert claim(rows).photo == stored[1].id


def test_a_postponed_delivery_waits_for_its_time(archive, rows) -> None:
    archive.store(archive.new_photo())
    fan_out(rows)
    first = claim(rows)
    later = now_ms() + 5000
    rows(
        lambda c: outbox.postpone(
            c, claim=first, not_before_ms=later, error="no answer", uncertain=True, now_ms=now_ms()
        )
    )
    assert claim(rows) is None
    assert not rows(lambda c: outbox.is_due(c, target=TARGET, now_ms=now_ms()))
    again = claim(rows, at_ms=later)
    assert (again.attempts, again.uncertain) == (2, 1)


def test_recovery_counts_what_was_being_sent_as_uncertain(archive, rows) -> None:
    photo = archive.new_photo()
    archive.store(photo)
    fan_out(rows)
    claim(rows)
    at = now_ms()
    assert rows(lambda c: outbox.recover(c, target=TARGET, retry_at_ms=at + 100, now_ms=at)) == [photo.id]
    assert rows(lambda c: outbox.recover(c, target=TARGET, retry_at_ms=at + 100, now_ms=at)) == []
    assert claim(rows, at_ms=at + 99) is None
    assert claim(rows, at_ms=at + 100).uncertain == 1


def test_who_lost_a_delivery_to_another_has_no_say_in_it(archive, rows) -> None:
    """A bridge that was away reports a failure of its old attempt: the new attempt goes on undisturbed."""
    photo = archive.new_photo()
    archive.store(photo)
    fan_out(rows)
    old = claim(rows)
    rows(lambda c: outbox.recover(c, target=TARGET, retry_at_ms=0, now_ms=now_ms()))
    assert claim(rows).attempts == 2
    rows(lambda c: outbox.set_aside(c, claim=old, error="400", now_ms=now_ms()))
    rows(lambda c: outbox.postpone(c, claim=old, not_before_ms=0, error="502", uncertain=True, now_ms=now_ms()))
    delivery = archive.delivery(photo)
    assert (delivery.state, delivery.uncertain) == ("sending", 1)


def test_what_is_posted_stays_posted_whatever_the_next_attempt_ends_in(archive, rows) -> None:
    """Two bridges sent it, as the lease had run out: the first one's message counts, the other's failure does not."""
    photo = archive.new_photo()
    archive.store(photo)
    fan_out(rows)
    old = claim(rows)
    rows(lambda c: outbox.recover(c, target=TARGET, retry_at_ms=0, now_ms=now_ms()))
    new = claim(rows)
    rows(lambda c: outbox.posted(c, claim=old, camera=photo.camera, message_id="1", sha256=None, now_ms=now_ms()))
    rows(lambda c: outbox.postpone(c, claim=new, not_before_ms=0, error="503", uncertain=True, now_ms=now_ms()))
    rows(lambda c: outbox.set_aside(c, claim=new, error="400", now_ms=now_ms()))
    assert (archive.delivery(photo).state, archive.delivery(photo).message_id) == ("posted", "1")
    assert claim(rows) is None


def test_a_change_during_an_edit_is_not_lost(archive, rows) -> None:
    """What changed after the edit was rendered wants an edit of its own."""
    photo = archive.new_photo()
    archive.store(photo)
    last = fan_out(rows)[-1].id
    posted = claim(rows)
    rows(
        lambda c: outbox.posted(
            c, claim=posted, camera=photo.camera, message_id="9", sha256=photo.sha256, now_ms=now_ms()
        )
    )
    announce(rows, photo, seq=1)
    last = fan_out(rows, last)[-1].id
    edit = rows(lambda c: outbox.claim_edit(c, target=TARGET, now_ms=now_ms()))
    assert (edit.message_id, edit.shown_sha256, edit.edits) == ("9", photo.sha256, 1)
    announce(rows, photo, seq=2)
    fan_out(rows, last)
    rows(lambda c: outbox.edited(c, claim=edit, sha256=photo.sha256, now_ms=now_ms()))
    assert rows(lambda c: outbox.claim_edit(c, target=TARGET, now_ms=now_ms())).edits == 1


def announce(rows, photo, **more) -> None:
    manifest = Manifest.decode(photo.manifest(**more))
    rows(lambda c: photos.announce(c, camera=photo.camera, manifest=manifest, now_ms=now_ms()))


def test_a_new_destination_inherits_what_still_waits(archive, rows) -> None:
    """The webhook was replaced: what waited for the old one is posted to the new one, what was posted stays."""
    done, waiting = archive.new_photo(), archive.new_photo()
    archive.store(done)
    archive.store(waiting)
    fan_out(rows)
    first = claim(rows)
    rows(lambda c: outbox.posted(c, claim=first, camera=done.camera, message_id="9", sha256=None, now_ms=now_ms()))
    rows(lambda c: outbox.open_destination(c, target="discord:2", fingerprint="f", now_ms=now_ms()))
    assert archive.delivery(waiting).target == "discord:2"
    assert archive.delivery(done).target == TARGET


def test_parked_until_the_secret_is_another(rows) -> None:
    def opened(fingerprint):
        return rows(
            lambda c: outbox.open_destination(c, target=TARGET, fingerprint=fingerprint, now_ms=now_ms())
        ).parked_reason

    assert opened("old") is None
    rows(lambda c: outbox.park(c, target=TARGET, fingerprint="old", reason="404", now_ms=now_ms()))
    rows(lambda c: outbox.park(c, target=TARGET, fingerprint="old", reason="again", now_ms=now_ms()))
    assert opened("old") == "404"
    assert opened("new") is None
    assert opened("old") is None
    kinds = [event.kind for event in rows(lambda c: events.after(c, 0))]
    assert kinds.count("destination.parked") == 1


def test_mended_bytes_give_a_delivery_that_was_set_aside_another_chance(archive, rows) -> None:
    wrong, right = archive.new_photo(), archive.new_photo()
    right.id = wrong.id
    archive.store(wrong)
    last = fan_out(rows)[-1].id
    refused = claim(rows)
    rows(lambda c: outbox.set_aside(c, claim=refused, error="400", now_ms=now_ms()))
    announce(rows, right)
    last = fan_out(rows, last)[-1].id
    assert claim(rows) is None
    archive.store(right)
    fan_out(rows, last)
    assert claim(rows).photo == right.id
    assert archive.delivery(right).state == DeliveryState.SENDING


def test_pruning_never_overtakes_a_reader(archive, rows) -> None:
    """Old events go, but not those that the outbox has still to read, and never the newest."""
    for _ in range(3):
        archive.store(archive.new_photo())
    future = now_ms() + 1000
    read = rows(lambda c: outbox.fan_out(c, target=TARGET, after=0, now_ms=now_ms(), limit=1))
    rows(lambda c: events.prune(c, before_ms=future))
    left = rows(lambda c: events.after(c, 0))
    assert left[0].id == read[-1].id + 1
    fan_out(rows, read[-1].id)
    newest = rows(events.last_id)
    rows(lambda c: events.prune(c, before_ms=future))
    assert [event.id for event in rows(lambda c: events.after(c, 0))] == [newest]


def test_a_pause_of_a_clock_that_ran_ahead_is_forgotten_at_the_next_start(archive, rows) -> None:
    """A board without a clock of its own may have dated the pause years ahead."""
    photo = archive.new_photo()
    archive.store(photo)
    fan_out(rows)
    first = claim(rows)
    ahead = now_ms() + 4 * 365 * 86_400_000
    rows(lambda c: outbox.postpone(c, claim=first, not_before_ms=ahead, error="503", uncertain=False, now_ms=now_ms()))
    assert claim(rows) is None
    rows(lambda c: outbox.open_destination(c, target=TARGET, fingerprint="f", now_ms=now_ms()))
    assert claim(rows).photo == photo.id
