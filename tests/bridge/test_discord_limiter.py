"""The limiter keeps Discord's limits before they are broken, obeys each pause, and takes its pauses across a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.discord.limiter import Clock, Limiter, Pause, PauseKind, Route
from bridge.discord.outcomes import Posted, RateLimited, Scope, Unknown
from simulator.discord.limits import Limits, RateLimiter
from simulator.discord.refusals import Refusal

A = Route(webhook_id="1")
B = Route(webhook_id="2")


class Time:
    def __init__(self, mono_ms=1_000, wall_ms=1_763_800_000_000):
        self.mono_ms = mono_ms
        self.wall_ms = wall_ms

    def clock(self):
        return Clock(monotonic_ms=lambda: self.mono_ms, wall_ms=lambda: self.wall_ms)

    def pass_ms(self, ms):
        self.mono_ms += ms
        self.wall_ms += ms


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def limiter(time):
    return Limiter(clock=time.clock(), random_unit=lambda: 0.0)


def headers(remaining, reset_after_s, limit=5, bucket="b"):
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset-After": str(reset_after_s),
        "X-RateLimit-Bucket": bucket,
    }


def send(limiter, route=A, answer=None, outcome=None):
    assert limiter.take(route) == 0
    limiter.answered(route, outcome or Posted("1", None), answer if answer is not None else headers(4, 2))


def test_before_any_answer_five_may_go_in_two_seconds(limiter, time):
    assert [limiter.take(A) for _ in range(6)] == [0] * 5 + [2000]
    assert limiter.take(B) == 0
    time.pass_ms(2000)
    assert limiter.take(A) == 0


def test_the_headers_are_believed(limiter, time):
    send(limiter, answer=headers(0, 1.5))
    assert limiter.wait_ms(A) == 1500
    assert limiter.wait_ms(B) == 0
    time.pass_ms(1500)
    assert limiter.wait_ms(A) == 0


def test_what_is_in_flight_is_not_counted_twice_as_free(limiter):
    for _ in range(3):
        assert limiter.take(A) == 0
    limiter.answered(A, Posted("1", None), headers(3, 2))
    assert [limiter.take(A) for _ in range(2)] == [0, 2000]


def test_methods_of_one_bucket_share_it_and_others_do_not(limiter):
    edit, look = Route(webhook_id="1", method="PATCH"), Route(webhook_id="1", method="GET")
    send(limiter, answer=headers(3, 2, bucket="x"))
    send(limiter, edit, answer=headers(0, 2, bucket="x"))
    send(limiter, look, answer=headers(4, 2, bucket="y"))
    assert (limiter.wait_ms(A), limiter.wait_ms(edit), limiter.wait_ms(look)) == (2000, 2000, 0)


def test_a_route_without_limits_in_its_answers_has_none(limiter):
    for _ in range(20):
        send(limiter, answer={})


@pytest.mark.parametrize("junk", ["", "x", "-1", "nan", "inf", "1e99"])
def test_junk_in_the_headers_changes_nothing(limiter, junk):
    send(limiter, answer=headers(junk, junk, junk))
    assert limiter.wait_ms(A) == 0


def test_thirty_a_minute_per_channel_over_all_its_webhooks(limiter, time):
    send(limiter, A, outcome=Posted("1", "9"))
    send(limiter, B, outcome=Posted("2", "9"))
    for _ in range(14):
        time.pass_ms(100)
        send(limiter, A)
        send(limiter, B)
    assert limiter.wait_ms(A) == limiter.wait_ms(B) == 60_000 - 1400
    assert limiter.wait_ms(Route(webhook_id="1", method="PATCH")) == 0
    time.pass_ms(limiter.wait_ms(A))
    assert [limiter.take(A), limiter.take(B)] == [0, 0]
    assert limiter.wait_ms(A) == 100


def test_a_thread_is_a_channel_of_its_own(limiter):
    thread = Route(webhook_id="1", thread_id="7")
    send(limiter, A, outcome=RateLimited(9000, Scope.SHARED))
    assert (limiter.wait_ms(A), limiter.wait_ms(thread)) == (9000, 0)


@pytest.mark.parametrize(
    ("limited", "waits"),
    [
        (RateLimited(5000, Scope.USER), (5000, 0, 0)),
        (RateLimited(5000, Scope.SHARED), (5000, 5000, 0)),
        (RateLimited(5000, Scope.USER, jumped=True), (5000, 5000, 0)),
        (RateLimited(5000, Scope.GLOBAL), (5000, 5000, 5000)),
        (RateLimited(5000, Scope.CLOUDFLARE), (300_000, 300_000, 300_000)),
    ],
)
def test_a_pause_is_for_whom_it_was_meant(limiter, limited, waits):
    """Webhooks 1 and 2 post to the same channel, 3 to another."""
    other = Route(webhook_id="3")
    send(limiter, A, outcome=Posted("1", "9"))
    send(limiter, B, outcome=Posted("1", "9"))
    send(limiter, A, outcome=limited)
    assert (limiter.wait_ms(A), limiter.wait_ms(B), limiter.wait_ms(other)) == waits


def test_cloudflare_breaks_the_circuit_for_longer_each_time(limiter, time):
    rests_min = []
    for _ in range(6):
        send(limiter, outcome=RateLimited(0, Scope.CLOUDFLARE))
        rests_min.append(limiter.wait_ms(A) // 60_000)
        time.pass_ms(limiter.wait_ms(A))
    assert rests_min == [5, 10, 20, 40, 60, 60]
    send(limiter, outcome=Posted("1", "9"))
    send(limiter, outcome=RateLimited(0, Scope.CLOUDFLARE))
    assert limiter.wait_ms(A) == 5 * 60_000


def test_waits_are_jittered(time):
    late = Limiter(clock=time.clock(), random_unit=lambda: 1.0)
    send(late, outcome=RateLimited(1000, Scope.USER))
    assert late.wait_ms(A) == 1500


def test_pauses_survive_a_restart(limiter, time):
    send(limiter, A, outcome=Posted("1", "9"))
    send(limiter, A, outcome=RateLimited(40_000, Scope.SHARED))
    send(limiter, B, outcome=RateLimited(3_000, Scope.USER))
    kept = limiter.pauses()
    assert Pause(PauseKind.CHANNEL, "9", time.wall_ms + 40_000) in kept
    later = Time(mono_ms=5, wall_ms=time.wall_ms + 10_000)
    again = Limiter(clock=later.clock())
    again.restore(kept)
    again.learn_channel(A, "9")
    assert (again.wait_ms(A), again.wait_ms(B)) == (30_000, 0)
    assert [pause.key for pause in again.pauses()] == ["9"]


def test_a_wall_clock_that_jumped_back_makes_no_endless_pause(limiter):
    limiter.restore([Pause(PauseKind.GLOBAL, "", 9_999_999_999_999)])
    assert limiter.wait_ms(A) == 3_600_000


def test_posts_before_the_restart_count_for_the_channel(limiter, time):
    for ago_ms in (61_000, 59_000, 10_000, -5):
        limiter.replay(A, time.wall_ms - ago_ms)
    for _ in range(28):
        send(limiter, answer={})
    assert limiter.wait_ms(A) == 1_000


def test_a_pause_of_an_unknown_channel_follows_once_it_is_known(limiter):
    send(limiter, A, outcome=RateLimited(8000, Scope.SHARED))
    limiter.learn_channel(A, "9")
    limiter.learn_channel(B, "9")
    assert limiter.wait_ms(B) == 8000


def test_an_attempt_without_an_answer_is_over(limiter):
    for _ in range(5):
        assert limiter.take(A) == 0
        limiter.answered(A, Unknown("reset"), {})
    assert limiter.wait_ms(A) == 2000


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="channel_per_minute"):
        Limiter(channel_per_minute=0)


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 5_000)), max_size=120))
def test_a_server_that_limits_as_discord_does_never_says_no(requests):
    """Whatever the arrival of photos, waiting as told keeps within both limits."""
    time = Time()
    limiter = Limiter(clock=time.clock(), random_unit=lambda: 0.0)
    server = RateLimiter(Limits(global_requests=0), clock_ms=lambda: time.mono_ms, wall_ms=lambda: time.wall_ms)
    for route, after_ms in requests:
        time.pass_ms(after_ms)
        time.pass_ms(limiter.wait_ms(route))
        assert limiter.take(route) == 0
        try:
            answer = server.take(route=route.method, webhook_id=route.webhook_id, channel_id="9")
        except Refusal as refusal:
            pytest.fail(f"refused: {refusal.body}")
        limiter.answered(route, Posted("1", "9"), answer)
