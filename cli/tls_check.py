"""What `aperture doctor` has to say of TLS: the certificate, its names and its end, and whether hands can be shaken."""

import asyncio
import ftplib
import ssl
from collections.abc import AsyncGenerator, Awaitable

from aperture.settings import BrokerKind, FtpTls, Settings
from aperture.tls import authority, names
from aperture.tls.authority import WARN_DAYS, Certificate
from aperture.tls.errors import TlsError
from aperture.tls.files import TlsFiles
from cli import runfile
from cli.finding import Finding, Verdict
from cli.place import Place

_DEADLINE_S = 5.0
_INIT = "aperture tls init"


async def findings(settings: Settings, place: Place) -> AsyncGenerator[Finding]:
    """Check what there is; nothing where there is no TLS of ours."""
    files = TlsFiles.of(settings.data_dir)
    ours = {"mqtt": settings.mqtt.tls_port is not None and settings.mqtt.broker is not BrokerKind.EXTERNAL}
    ours["ftp"] = settings.ftp.tls is not FtpTls.OFF
    if not any(ours.values()):
        if files.server_pem.exists():
            yield Finding(
                "TLS", Verdict.HINT, "a certificate is there, but TLS is off", "set mqtt.tls_port and ftp.tls"
            )
        return
    try:
        certificate = authority.inspect(files)
        files.context()
    except TlsError as error:
        yield Finding("TLS", Verdict.WRONG, str(error), _INIT)
        return
    told = [part["host"] for part, is_ours in ((place.mqtt(), ours["mqtt"]), (place.ftp(), ours["ftp"])) if is_ours]
    yield _certificate(certificate, told)
    if place.running is None:
        return
    trust = _trust(files)
    if ours["mqtt"]:
        where = place.running["mqtt"]
        yield await _shaken("MQTT over TLS", _mqtt(where["host"], where["tls_port"], trust))
    if ours["ftp"]:
        where = place.running["ftp"]
        yield await _shaken("FTPS", asyncio.to_thread(_ftp, where["host"], where["port"], trust))


def _certificate(certificate: Certificate, told: list[str]) -> Finding:
    end, left = f"{certificate.ends_at:%Y-%m-%d}", certificate.days_left()
    unnamed = sorted({str(name) for name in names.unique(told)} - set(certificate.names))
    if left < 0:
        return Finding("TLS", Verdict.WRONG, f"the certificate ended on {end}: cameras refuse it", _INIT)
    if unnamed:
        detail = f"cameras are told to connect to {', '.join(unnamed)}, for which the certificate does not hold"
        return Finding("TLS", Verdict.WRONG, detail, _INIT)
    if left < WARN_DAYS:
        return Finding("TLS", Verdict.HINT, f"the certificate ends in {left} days, on {end}", _INIT)
    return Finding("TLS", Verdict.OK, f"the certificate holds until {end}, for {', '.join(certificate.names)}")


def _trust(files: TlsFiles) -> ssl.SSLContext:
    """Return what trusts the owner's CA, or, where somebody else made the certificate, anybody."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False  # the names are looked at above; here it is this machine
    if files.ca_pem.exists():
        trust.load_verify_locations(files.ca_pem)
    else:
        trust.verify_mode = ssl.CERT_NONE
    return trust


async def _shaken(what: str, handshake: Awaitable[str]) -> Finding:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return Finding(what, Verdict.OK, await handshake)
    except (OSError, EOFError, ftplib.Error) as error:
        return Finding(what, Verdict.WRONG, str(error) or "no answer", "look at the log of aperture up")


async def _mqtt(host: str, port: int, trust: ssl.SSLContext) -> str:
    _, writer = await asyncio.open_connection(runfile.local(host), port, ssl=trust)
    version = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return f"{host}:{port}, {version}"


def _ftp(host: str, port: int, trust: ssl.SSLContext) -> str:
    with ftplib.FTP_TLS(timeout=_DEADLINE_S, context=trust) as client:  # noqa: S321 - it is FTPS that is looked at
        client.connect(runfile.local(host), port)
        client.auth()
        version = client.sock.version() if isinstance(client.sock, ssl.SSLSocket) else None
    return f"{host}:{port}, {version}"
