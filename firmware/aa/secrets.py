"""What was put on the camera once: who it is, which networks it knows, and where its server is."""

from aa import files
from aa.settings import BadSettings

_WORDS = ("camera", "token", "board")
_LONGEST_HOSTNAME = 32


def load_secrets(path):
    """Return the secrets: camera, token, board, root, wifi, mqtt, ftp, and update_key, country, hostname, ntp or None.

    `wifi` is a list of {ssid, password}, in order of preference; `mqtt` and `ftp` are {host, port, tls}.

    Raises:
        BadSettings: the file is missing or incomplete.
    """
    secrets = files.read_json(path, None)
    if not isinstance(secrets, dict):
        raise BadSettings(path + " is missing or no JSON")
    for key in _WORDS:
        if not isinstance(secrets.get(key), str):
            raise BadSettings(path + ": " + key + " is missing")
    for part in ("mqtt", "ftp"):
        secrets[part] = _server(path, part, secrets.get(part))
    secrets["wifi"] = _networks(path, secrets.get("wifi"))
    for key in ("update_key", "country", "ntp"):
        secrets[key] = _text(path, secrets, key, None)
    secrets["root"] = _text(path, secrets, "root", None) or "aperture"
    secrets["hostname"] = _text(path, secrets, "hostname", "aperture-" + secrets["camera"])[:_LONGEST_HOSTNAME]
    return secrets


def _text(path, secrets, key, default):
    value = secrets.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise BadSettings(path + ": " + key + " must be text")
    return value


def _server(path, part, there):
    """What is neither true nor false is refused: who wants TLS must not get something else by a slip."""
    if not isinstance(there, dict) or not there.get("host") or type(there.get("port")) is not int:
        raise BadSettings(path + ": " + part + " needs host and port")
    tls = there.get("tls", False)
    if type(tls) is not bool:
        raise BadSettings(path + ": " + part + ": tls must be true or false")
    return {"host": there["host"], "port": there["port"], "tls": tls}


def _networks(path, wifi):
    """Return the networks of `wifi`, which may be one or a list of them; without a name it is none."""
    if isinstance(wifi, dict):
        wifi = [wifi]
    if not isinstance(wifi, list):
        raise BadSettings(path + ": wifi is missing")
    networks = []
    for one in wifi:
        if not isinstance(one, dict):
            raise BadSettings(path + ": wifi needs ssid and password")
        ssid, password = one.get("ssid") or "", one.get("password") or ""
        if not isinstance(ssid, str) or not isinstance(password, str):
            raise BadSettings(path + ": wifi: ssid and password must be text")
        if ssid:
            networks.append({"ssid": ssid, "password": password})
    return networks
