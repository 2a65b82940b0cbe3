"""The commands that this server knows, as pyftpdlib's table: RFC 959, 2389, 2428, 3659 and 4217, and SITE SHA256."""

from typing import Any


def _command(syntax: str, *, arg: bool | None, auth: bool = True) -> dict[str, Any]:
    # perm=None keeps pyftpdlib's own file system and permissions out of it: `paths` decides
    return {"perm": None, "auth": auth, "arg": arg, "help": f"Syntax: {syntax}"}


COMMANDS: dict[str, dict[str, Any]] = {
    "ABOR": _command("ABOR (stop the transfer)", arg=False),
    "ALLO": _command("ALLO <bytes> (the size of the whole file that comes next)", arg=True),
    "APPE": _command("APPE <file> (go on with an upload)", arg=True),
    "AUTH": _command("AUTH TLS (go over to TLS)", arg=True, auth=False),
    "CDUP": _command("CDUP", arg=False),
    "CWD": _command("CWD [<folder>]", arg=None),
    "DELE": _command("DELE <file>", arg=True),
    "EPRT": _command("EPRT (active mode; refused)", arg=True),
    "EPSV": _command("EPSV [<protocol>]", arg=None),
    "FEAT": _command("FEAT", arg=False, auth=False),
    "HELP": _command("HELP [<command>]", arg=None, auth=False),
    "LIST": _command("LIST [<folder>]", arg=None),
    "MKD": _command("MKD <folder>", arg=True),
    "MLSD": _command("MLSD [<folder>]", arg=None),
    "MODE": _command("MODE S", arg=True),
    "NLST": _command("NLST [<folder>]", arg=None),
    "NOOP": _command("NOOP", arg=False, auth=False),
    "OPTS": _command("OPTS UTF8", arg=True),
    "PASS": _command("PASS <password>", arg=None, auth=False),
    "PASV": _command("PASV", arg=False),
    "PBSZ": _command("PBSZ 0 (before PROT)", arg=True, auth=False),
    "PORT": _command("PORT (active mode; refused)", arg=True),
    "PROT": _command("PROT <P|C> (data connections under TLS, or in the clear)", arg=True, auth=False),
    "PWD": _command("PWD", arg=False),
    "QUIT": _command("QUIT", arg=False, auth=False),
    "REIN": _command("REIN", arg=False),
    "REST": _command("REST <offset>", arg=True),
    "RETR": _command("RETR /firmware/<file>", arg=True),
    "RMD": _command("RMD <folder>", arg=True),
    "RNFR": _command("RNFR <file>", arg=True),
    "RNTO": _command("RNTO <file>", arg=True),
    "SITE": _command("SITE <command>", arg=True, auth=False),
    "SITE HELP": _command("SITE HELP [<command>]", arg=None, auth=False),
    "SITE SHA256": _command("SITE SHA256 <hex> (of the whole file that comes next)", arg=True),
    "SIZE": _command("SIZE <file> (how much of it is here)", arg=True),
    "STAT": _command("STAT", arg=None, auth=False),
    "STOR": _command("STOR <file>", arg=True),
    "STRU": _command("STRU F", arg=True),
    "SYST": _command("SYST", arg=False, auth=False),
    "TYPE": _command("TYPE <A|I>", arg=True),
    "USER": _command("USER <name>", arg=True, auth=False),
    "XCUP": _command("XCUP", arg=False),
    "XCWD": _command("XCWD [<folder>]", arg=None),
    "XMKD": _command("XMKD <folder>", arg=True),
    "XPWD": _command("XPWD", arg=False),
    "XRMD": _command("XRMD <folder>", arg=True),
}
