"""Makes the CA and the server's certificate. Cameras hold the CA, so it is kept: only its certificates are renewed.

Keys are ECDSA on P-256, which MicroPython's mbedTLS verifies in a fraction of what RSA costs it. Every file is written
whole, a key before the certificate that needs it: after a power cut at any point, another run completes what is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aperture.store import private_file
from aperture.tls import names
from aperture.tls.errors import TlsError
from aperture.tls.files import TlsFiles

DEFAULT_DAYS: Final = 3650
WARN_DAYS: Final = 30
"""So long before its end the owner is told of a certificate."""

_CA_DAYS: Final = 7300
# MicroPython checks dates on the ESP32, too, and a camera that has no time yet lives in the year 2000.
_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_IS_SET: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PEM: Final = serialization.Encoding.PEM
_DER: Final = serialization.Encoding.DER


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What there is to know of the server's certificate."""

    names: list[str]
    ends_at: datetime
    ca_ends_at: datetime
    new_ca: bool = False

    def days_left(self) -> int:
        """Return the whole days until it ends; negative once it has."""
        return (self.ends_at - datetime.now(UTC)).days


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    is_new: bool


def init(files: TlsFiles, *, hosts: Iterable[str], days: int = DEFAULT_DAYS, force: bool = False) -> Certificate:
    """Make what is missing and renew the server's certificate.

    Args:
        files: where it all goes.
        hosts: names and addresses that the certificate is to hold for; those of the one before stay.
        days: how long the certificate is to be good for.
        force: whether to make a new CA, which no camera trusts yet.

    Raises:
        TlsError: what is there can't be continued, or this machine's clock is not set.
        OSError: as the operating system says.
    """
    if datetime.now(UTC) < _CLOCK_IS_SET:
        raise TlsError(f"this machine's clock says {datetime.now(UTC):%Y-%m-%d}: set it before a certificate is made")
    private_file.make_folder(files.folder)
    authority = _new_authority(files) if force or not _begun(files) else _authority(files)
    private_file.write(files.ca_der, authority.certificate.public_bytes(_DER))
    before = _previous(files)
    if before is not None and before.issuer != authority.certificate.subject and not authority.is_new:
        raise TlsError(f"{files.server_pem} was not signed by this CA: move it away, or replace all with --force")
    key = None if before is None or authority.is_new else _key(files.server_key)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        private_file.write(files.server_key, _pem(key))
    wanted = names.unique([*hosts, *(() if before is None else _names(before))])
    certificate = _issue(authority, key, wanted, days=days)
    private_file.write(files.server_pem, certificate.public_bytes(_PEM) + authority.certificate.public_bytes(_PEM))
    return _facts(certificate, authority.certificate, new_ca=authority.is_new)


def inspect(files: TlsFiles) -> Certificate:
    """Return what there is to know of the certificate that listeners use.

    Raises:
        TlsError: there is none, or it is none.
    """
    try:
        chain = x509.load_pem_x509_certificates(files.server_pem.read_bytes())
    except FileNotFoundError:
        raise TlsError(f"there is no certificate in {files.folder}: run `aperture tls init`") from None
    except (OSError, ValueError) as error:
        raise TlsError(f"{files.server_pem} can't be read as a certificate: {error}") from error
    return _facts(chain[0], chain[-1])


def _begun(files: TlsFiles) -> bool:
    """Whether there is a CA. A key alone was left by a run that ended early: nobody has seen its certificate."""
    if not files.ca_pem.exists() and files.server_pem.exists():
        raise TlsError(
            f"{files.server_pem} is there, but not the CA that signed it: put ca.pem and ca.key back, "
            "or have everything made anew with --force"
        )
    return files.ca_pem.exists()


def _new_authority(files: TlsFiles) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # Names of their own, so that a client with an old CA in its store doesn't take it for this one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Aperture Archive CA {serial % 2**32:08x}")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, _BEGIN, _in_days(_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private_file.write(files.ca_key, _pem(key))
    private_file.write(files.ca_pem, certificate.public_bytes(_PEM))
    return _Authority(certificate, key, is_new=True)


def _authority(files: TlsFiles) -> _Authority:
    try:
        certificate = x509.load_pem_x509_certificate(files.ca_pem.read_bytes())
    except ValueError as error:
        raise TlsError(f"{files.ca_pem} is no certificate ({error}); --force makes a new CA") from error
    key = _key(files.ca_key)
    if key is None:
        raise TlsError(f"{files.ca_key} is missing or no key: put it back, or have a new CA made with --force")
    if key.public_key() != certificate.public_key():
        raise TlsError(f"{files.ca_key} does not belong to {files.ca_pem}; --force makes a new CA")
    if certificate.not_valid_after_utc < _in_days(WARN_DAYS):
        raise TlsError(f"the CA ends on {certificate.not_valid_after_utc:%Y-%m-%d}; --force makes a new one")
    return _Authority(certificate, key, is_new=False)


def _previous(files: TlsFiles) -> x509.Certificate | None:
    """Return the certificate that is to be renewed or replaced, if there is one."""
    try:
        return x509.load_pem_x509_certificates(files.server_pem.read_bytes())[0]
    except (FileNotFoundError, ValueError):
        return None


def _issue(
    authority: _Authority, key: ec.EllipticCurvePrivateKey, wanted: list[names.Address | str], *, days: int
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Aperture Archive")])
    end = min(_in_days(days), authority.certificate.not_valid_after_utc)
    signer = authority.key.public_key()
    return (
        x509.CertificateBuilder(
            authority.certificate.subject, name, key.public_key(), x509.random_serial_number(), _BEGIN, end
        )
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in wanted]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: names.Address | str) -> x509.GeneralName:
    return x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name)


def _facts(certificate: x509.Certificate, authority: x509.Certificate, *, new_ca: bool = False) -> Certificate:
    return Certificate(
        names=_names(certificate),
        ends_at=certificate.not_valid_after_utc,
        ca_ends_at=authority.not_valid_after_utc,
        new_ca=new_ca,
    )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in said if isinstance(one, x509.DNSName | x509.IPAddress)]


def _key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):  # missing, no key, encrypted
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
