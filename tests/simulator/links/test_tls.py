"""MQTT and FTP over TLS, from MicroPython to the real servers: to ours, and to nobody else."""

import asyncio

import psutil
import pytest

from aperture.tls import authority
from aperture.tls.files import TlsFiles


def taken(camera):
    return sorted(path.read_bytes() for path in camera.taken.glob("*.jpg"))


@pytest.fixture
async def tls_port(broker, certificate, tmp_path, spare_port):
    """A TLS listener of the broker, beside its plain one."""
    port = spare_port
    with (tmp_path / "mosquitto.conf").open("a") as file:
        file.write(f"listener {port} 127.0.0.1\ncertfile {certificate.server_pem}\nkeyfile {certificate.server_key}\n")
    await broker.stop()
    await broker.start()
    return port


@pytest.fixture
def make_secure(make_camera, make_house, tls_port, certificate):
    """Make a camera that uses TLS for both, with our own FTP server, which demands it."""

    async def make(**more):
        house = make_house("require")
        usual = {"token": house.token, "ftp_port": house.port, "mqtt_port": tls_port, "ca": certificate.ca_der}
        return await make_camera(**{**usual, **more}), house

    return make


class Listener:
    """A server that takes whatever comes, says `greeting`, and keeps what it heard."""

    def __init__(self, greeting=b""):
        self.greeting, self.heard, self.connections = greeting, b"", 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            writer.write(self.greeting)
            while data := await reader.read(1024):
                self.heard += data
        finally:
            writer.close()
            await writer.wait_closed()


async def test_photos_and_their_manifests_come_over_tls(make_secure, ears, waiting, pid_of, soon):
    """Several over one session: each data connection has a handshake of its own."""
    camera, house = await make_secure()
    await ears.hears_presence(b"online")
    descriptors = []
    for count in range(1, 6):
        await camera.press()
        manifests = await ears.hears("shutter", count)
        await soon(lambda: not waiting(camera), "nothing waits")
        descriptors.append(psutil.Process(pid_of(camera)).num_fds())
    assert descriptors[-1] <= descriptors[0] + 1, "each data connection is closed"
    assert sorted(house.stored(one["photo"]) for one in manifests) == taken(camera)


async def test_a_certificate_holds_for_a_name_as_well(make_secure, ears, tls_port):
    """It is the name in `secrets.json` that must be in it, not the address that it leads to."""
    names = {"server.test": "127.0.0.1"}
    await make_secure(names=names, secrets={"mqtt": {"host": "server.test", "port": tls_port, "tls": True}})
    await ears.hears_presence(b"online")


@pytest.mark.parametrize("flaw", ["another CA", "another name", "no ca.der", "no certificate in ca.der"])
async def test_who_is_not_our_server_hears_no_secret(make_secure, tls_port, certificate, tmp_path, flaw, soon, unheard):
    """It is refused, in words, and tried again slowly; the token stays here."""
    ca, host = certificate.ca_der, "127.0.0.1"
    if flaw == "another CA":
        other = TlsFiles(tmp_path / "other")
        authority.init(other, hosts=["127.0.0.1"])
        ca = other.ca_der
    elif flaw == "another name":
        host = "impostor.test"
    elif flaw == "no certificate in ca.der":
        ca = tmp_path / "ca.der"
        ca.write_bytes(b"\x30\x03\x02\x01\x00")
    server = {"mqtt": {"host": host, "port": tls_port, "tls": True}}
    said = []
    camera, _ = await make_secure(
        ca=None if flaw == "no ca.der" else ca, names={"impostor.test": "127.0.0.1"}, secrets=server
    )
    camera.listen(said.append)
    await soon(lambda: any("mqtt down why=TlsError" in line for line in said), "it is refused")
    if "ca.der" in flaw:
        assert any("/ca.der is" in line for line in said)
    else:
        assert any("certificate" in line.lower() for line in said)
    await unheard()


@pytest.fixture
def unheard(ears):
    """Fails when the broker heard of the camera after all."""

    async def check():
        await asyncio.sleep(0.5)
        assert not ears.heard

    return check


async def test_without_a_ca_nothing_is_said_in_the_clear(make_camera, soon):
    """Not even hello: `tls: true` is an order, not a wish."""
    async with Listener() as mqtt, Listener(b"220 hi\r\n") as ftp:
        servers = {
            part: {"host": "127.0.0.1", "port": one.port, "tls": True} for part, one in (("mqtt", mqtt), ("ftp", ftp))
        }
        said = []
        camera = await make_camera(secrets=servers)
        camera.listen(said.append)
        for part in ("mqtt", "ftp"):
            await soon(lambda part=part: any(f"{part} down why=TlsError: /ca.der" in line for line in said), part)
        assert (mqtt.connections, ftp.connections) == (0, 0)


async def test_a_server_that_refuses_tls_gets_no_password(make_camera, certificate, soon):
    """Someone on the Wi-Fi may answer in its place."""
    async with Listener(b"220 hi\r\n502 what is TLS?\r\n") as ftp:
        said = []
        server = {"ftp": {"host": "127.0.0.1", "port": ftp.port, "tls": True}}
        camera = await make_camera(ca=certificate.ca_der, secrets=server)
        camera.listen(said.append)
        await soon(lambda: any("ftp down" in line for line in said), "it is given up")
        assert ftp.heard == b"AUTH TLS\r\n"
        assert any("TlsError: 502" in line for line in said)
