"""The bridge's connection to the broker: what its loop says of sockets that are gone."""

import asyncio
import logging
import socket

from bridge.mqtt.link import forgive_closed_sockets


async def test_a_socket_that_closed_before_it_was_watched_is_no_error(caplog):
    """Anything else still is."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(forgive_closed_sockets)
    with socket.socket() as gone:
        number = gone.fileno()
    loop.call_soon(loop.add_writer, number, print)
    await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    loop.call_soon(int, "no number")
    await asyncio.sleep(0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR]
