"""Wi-Fi: which network, which access point, what is wrong, and how it comes back; on the simulated radio."""

import asyncio
import time

import network

from aa import dns, link, radio, troubles, wifi
from aa.backoff import Backoff
from aa.remembered import Remembered
from aa.wifi import Wifi
from helpers import until


def _secrets(*networks, **more):
    secrets = {"wifi": [{"ssid": ssid, "password": password} for ssid, password in networks]}
    secrets.update(more)
    return secrets


def _start(*networks):
    part = Wifi(_secrets(*networks), "wifi.json")
    part.losses = []
    part.lost = lambda: part.losses.append(part.state)
    return part, asyncio.create_task(part.run())


async def _is_up(part):
    await until(lambda: part.state == link.UP)


async def the_first_of_the_networks_in_reach_is_joined_at_its_strongest_access_point():
    network.aps = [
        network.access_point("cafe", "c", 1, 1, -40),
        network.access_point("home", "h", 2, 6, -80),
        network.access_point("home", "h", 3, 11, -50),
    ]
    part, running = _start(("away", "a"), ("home", "h"), ("cafe", "c"))
    await _is_up(part)
    assert part.ssid == "home" and network.joins[-1][1] == b"\x02\x00\x00\x00\x00\x03"
    assert part.rssi_dbm() == -50 and part.trouble is None
    running.cancel()


async def the_access_point_of_last_time_is_asked_first_on_its_channel_and_without_a_scan():
    network.aps = [network.access_point("home", "h", 3, 11), network.access_point("cafe", "c", 1, 1)]
    part, running = _start(("cafe", "c"), ("home", "h"))
    await _is_up(part)
    running.cancel()
    part.stop()
    network.aps.pop()  # home is joined, and is the last good one from now on
    part, running = _start(("home", "h"))
    await _is_up(part)
    running.cancel()
    part.stop()
    network.aps.append(network.access_point("cafe", "c", 1, 1))
    network.joins.clear()
    part, running = _start(("cafe", "c"), ("home", "h"))
    part._wlan.scan = None  # it would raise
    await _is_up(part)
    assert part.ssid == "home" and network.joins[-1] == ("home", b"\x02\x00\x00\x00\x00\x03", 11)
    running.cancel()


async def an_access_point_that_is_gone_is_found_elsewhere():
    network.aps = [network.access_point("home", "h", 3, 11)]
    part, running = _start(("home", "h"))
    await _is_up(part)
    network.aps = [network.access_point("home", "h", 4, 1)]
    part._wlan.disconnect()
    await until(lambda: part.losses)
    await until(lambda: part.state == link.UP and network.joins[-1][1][5] == 4, 8_000)
    kept = Remembered("wifi.json")
    assert (kept.ssid, kept.bssid[5], kept.channel) == ("home", 4, 1)
    running.cancel()


async def a_reboot_of_the_access_point_is_outlived_and_each_loss_is_told():
    part, running = _start(("simulated", ""))
    await _is_up(part)
    for number in (1, 2):
        await part._wlan._change("down")
        await until(lambda: part.trouble == troubles.NO_WIFI)
        assert len(part.losses) == number and part.state != link.UP
        await part._wlan._change("up")
        await _is_up(part)
    running.cancel()


async def a_wrong_password_is_shown_retried_slowly_and_keeps_no_other_network_waiting():
    network.aps = [network.access_point("home", "right", 1), network.access_point("cafe", "c", 2)]
    part, running = _start(("home", "wrong"), ("cafe", "c"))
    part._networks[0]._pauses = Backoff(60_000, 60_000)
    await _is_up(part)
    assert part.ssid == "cafe"
    network.aps.pop()
    await part._wlan._change("reach", "home=right")
    await until(lambda: part.trouble == troubles.WIFI_PASSWORD and part.state == link.DOWN, 15_000)
    network.joins.clear()
    part.hurry()  # a press does not hurry who is refused
    await until(lambda: network.joins)
    assert network.joins[0][0] == "cafe", "home is not asked again so soon"
    assert part._networks[0].put_off_ms() > 1_000
    await part._wlan._change("reach", "home=wrong")  # mended, at the other end
    part._networks[0]._until = time.ticks_ms()
    part._retry.set()
    await _is_up(part)
    assert part.trouble is None
    running.cancel()


async def the_reason_of_an_old_failure_is_not_taken_for_a_new_one():
    """An ESP32 goes on showing why the last try failed until the next one has succeeded."""
    radio.STALE_MS = 10_000
    part, running = _start(("simulated", ""))
    await _is_up(part)
    wlan, connect = part._wlan, part._wlan.connect
    wlan.connect = lambda *_, **__: None
    wlan._ap, wlan._status = None, network.STAT_NO_AP_FOUND
    trying = asyncio.create_task(part._join(part._networks[0], None, None, 5_000))
    await asyncio.sleep_ms(300)
    wlan.connect = connect
    connect("simulated", "")
    assert await trying is None
    running.cancel()


async def a_new_address_from_dhcp_ends_what_came_from_the_old_one():
    part, running = _start(("simulated", ""))
    await _is_up(part)
    part._wlan.ifconfig = lambda: ("192.168.7.9", "255.255.255.0", "192.168.7.1", "192.168.7.1")
    await until(lambda: part.losses)
    assert part.losses == [link.UP] and dns._server == ("192.168.7.1", 53)
    await asyncio.sleep_ms(700)
    assert len(part.losses) == 1
    running.cancel()


async def a_radio_that_only_claims_to_be_connected_is_started_anew():
    wifi._DEAF_MS = 600
    part, running = _start(("simulated", ""))
    part._deaf_pauses = Backoff(600, 6_000)
    await _is_up(part)
    for _ in range(8):  # as long as a server speaks, all is well
        part.heard()
        await asyncio.sleep_ms(150)
    assert not part.losses
    off = []
    active = part._wlan.active
    part._wlan.active = lambda *on: (off.append(on), active(*on))[1]
    await until(lambda: part.trouble == troubles.WIFI_DEAF)
    assert (False,) in off and len(part.losses) == 1
    await _is_up(part)
    running.cancel()


async def a_press_ends_the_pause_between_two_tries():
    network.aps = []
    started = time.ticks_ms()
    part, running = _start(("simulated", ""))
    for tries in (1, 2, 3, 4):
        await until(lambda tries=tries: part.state == link.DOWN and len(network.joins) == tries)
        part.hurry()
    assert time.ticks_diff(time.ticks_ms(), started) < 2_000, "else it pauses for 1, 2 and 4 s"
    running.cancel()


async def a_camera_whose_only_password_is_refused_is_in_no_hurry():
    network.aps = [network.access_point("home", "right")]
    part, running = _start(("home", "wrong"))
    await until(lambda: part.state == link.REFUSED)
    part.hurry()
    await asyncio.sleep_ms(500)
    assert (len(network.joins), part.trouble) == (1, troubles.WIFI_PASSWORD), (network.joins, part.trouble)
    running.cancel()


async def without_a_network_in_its_secrets_it_says_so():
    part, running = _start()
    await until(lambda: part.trouble == troubles.NO_NETWORKS)
    assert part.state == link.REFUSED
    running.cancel()


def country_and_name_are_told_before_the_radio_starts():
    Wifi(_secrets(country="DE", hostname="aperture-door"), "wifi.json")
    assert network.country() == "DE" and network.hostname() == "aperture-door"
    Wifi(_secrets(country="Germany", hostname="x" * 40), "wifi.json")  # told, and no reason not to start


def a_damaged_note_of_the_last_network_costs_nothing():
    for text in ("{", "[]", '{"ssid": 1, "bssid": "02"}', '{"ssid": "a", "bssid": "zz", "channel": 1}'):
        with open("wifi.json", "w") as file:
            file.write(text)
        assert Remembered("wifi.json").ssid is None


def troubles_fit_the_display():
    words = [value for name, value in troubles.__dict__.items() if name.isupper() and isinstance(value, tuple)]
    assert len(words) >= 15
    for short, advice in words:
        assert 0 < len(short) <= 16 and 0 < len(advice) <= 16, short
