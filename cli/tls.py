"""`aperture tls init`: the owner's own CA, and this server's certificate."""

import argparse

from aperture.settings import Settings
from aperture.tls import authority, names
from aperture.tls.authority import Certificate
from aperture.tls.errors import TlsError
from aperture.tls.files import TlsFiles
from cli import output
from cli.errors import CommandLineError


def init(options: argparse.Namespace, settings: Settings) -> int:
    """Make the CA, unless there is one, and a certificate for all of this server's names."""
    files = TlsFiles.of(settings.data_dir)
    try:
        asked = [str(names.parse(host)) for host in options.host]
        found = [str(name) for name in names.of_this_machine()]
        made = authority.init(
            files,
            hosts=[*found, *_configured(settings), *asked],
            days=options.days,
            force=options.force,
        )
    except (TlsError, ValueError) as error:
        raise CommandLineError(str(error)) from error
    except OSError as error:
        raise CommandLineError(f"{error.filename or files.folder}: {error.strerror}") from error
    _tell(options, settings, files, made)
    return 0


def _configured(settings: Settings) -> list[str]:
    """Return the names of this server that its settings tell."""
    said = (settings.ftp.masquerade, settings.ftp.host, settings.mqtt.host)
    return [host for host in said if host is not None and not names.is_wildcard(host)]


def _tell(options: argparse.Namespace, settings: Settings, files: TlsFiles, made: Certificate) -> None:
    if options.json:
        output.emit(
            {
                "folder": str(files.folder),
                "ca_der": str(files.ca_der),
                "new_ca": made.new_ca,
                "names": made.names,
                "ends_at": made.ends_at.isoformat(),
                "ca_ends_at": made.ca_ends_at.isoformat(),
            }
        )
        return
    output.facts(
        {
            "certificate": f"{files.server_pem}, until {made.ends_at:%Y-%m-%d}",
            "holds for": ", ".join(made.names),
            "CA": f"{files.ca_pem}, for cameras {files.ca_der}, until {made.ca_ends_at:%Y-%m-%d}",
        }
    )
    if made.new_ca:
        print(f"\nThe CA is new: each camera that is to use TLS needs {files.ca_der} before it connects again.")
    else:
        print("\nThe CA is the one that was there: cameras go on trusting this server.")
    if settings.ftp.tls == "off" and settings.mqtt.tls_port is None:
        print("TLS is not on yet: APERTURE_MQTT__TLS_PORT=8883 and APERTURE_FTP__TLS=allow, or aperture.toml.")
    else:
        print("What runs takes it up by itself, for new connections.")
