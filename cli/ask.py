"""`aperture camera ask NAME DO …`: asks something of a camera, and shows how far it is and what it replies."""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aperture.clock import now_ms
from aperture.commands import CommandRefusedError, Commands
from aperture.contract.messages import Do, Presence
from aperture.hints import Hints
from aperture.settings import Settings
from aperture.store import cameras
from aperture.store.mailbox import OPEN, CommandState, Stored
from cli import output
from cli.errors import CommandLineError
from cli.place import Place

_ONLINE_WAIT_S = 30.0
_LOOK_EVERY_S = 0.1


async def ask(options: argparse.Namespace, settings: Settings) -> int:
    """Queue a command and wait for its reply; 1 when it failed, or did not come in time.

    A camera that goes to sleep meanwhile has it when it wakes: only who gave a time to wait waits for that.
    """
    with Place(settings) as place:
        commands = Commands(database=place.database, hints=Hints(), firmware_dir=settings.firmware_dir)
        command = await _make(commands, options)

        def is_awake() -> bool:
            return _presence(place, options.name) is not Presence.ASLEEP

        is_online = _presence(place, options.name) is Presence.ONLINE
        if options.wait is not None:
            command = await _follow(commands, command, options.wait, aloud=not options.json)
        elif is_online:
            command = await _follow(commands, command, _ONLINE_WAIT_S, is_awake, aloud=not options.json)
            is_online = is_awake()
    if options.json:
        output.emit(asdict(command))
    else:
        print(_sentence(command, is_online=is_online))
    in_time = command.state not in OPEN or not (options.wait or is_online)
    return 0 if in_time and command.state in {*OPEN, CommandState.DONE} else 1


def _presence(place: Place, name: str) -> Presence | None:
    camera = place.database.read(lambda connection: cameras.get(connection, name))
    return None if camera is None else camera.presence


async def _make(commands: Commands, options: argparse.Namespace) -> Stored:
    arguments = _arguments(options.args)
    try:
        return await commands.make(
            camera=options.name, do=Do(options.do), origin="cli", now_ms=now_ms(), args=arguments
        )
    except CommandRefusedError as error:
        raise CommandLineError(str(error)) from error


def _arguments(pairs: list[str]) -> dict[str, Any]:
    """Return `KEY=VALUE` pairs as arguments: a value that is JSON is what it says, any other is text."""
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise CommandLineError(f"{pair!r} is no KEY=VALUE, like quality=80")
        try:
            arguments[key] = json.loads(value)
        except ValueError:
            arguments[key] = value
    return arguments


async def _follow(
    commands: Commands, command: Stored, wait_s: float, goes_on: Callable[[], bool] = lambda: True, *, aloud: bool
) -> Stored:
    """Return the command once it has ended, or as it is when the time is over or `goes_on` says no."""
    until = time.monotonic() + wait_s
    told: tuple[CommandState, int | None] | None = None
    awaited = True
    while awaited and command.state in OPEN and time.monotonic() < until:
        awaited = goes_on()
        await asyncio.sleep(_LOOK_EVERY_S)
        command = await commands.get(command.id)
        if aloud and told != (command.state, command.progress) and command.state is CommandState.SENT:
            told = (command.state, command.progress)
            print("sent" if command.progress is None else f"{command.progress} %", flush=True)
    return command


def _sentence(command: Stored, *, is_online: bool) -> str:
    what = f"{command.camera}: {command.do}"
    if command.state in OPEN:
        until = output.local_time(command.expires_at_ms)
        why = "no reply yet" if is_online else "the camera is not online"
        return f"{what} is {command.state}: {why}; it waits in the mailbox until {until} (command {command.id})"
    words = [f"{what} {command.state}", command.error, command.detail]
    if command.photo is not None:
        words.append(f"photo {command.photo}")
    return ": ".join(word for word in words if word)
