import pytest

from aperture.contract.ids import NameRejectedError, is_photo_id
from aperture.store import accounts, cameras
from aperture.store.accounts import Role
from aperture.store.credentials import bcrypt_hash, mosquitto_hash, token_hash, verify_mosquitto
from aperture.store.errors import ConflictError, NotFoundError


def _add(database, name="new", role=Role.CAMERA, **more):
    return database.write(lambda one: accounts.add(one, name=name, role=role, now_ms=5, **more))


def _get(database, name):
    return database.read(lambda one: accounts.get(one, name))


def test_a_secret_is_told_once_and_kept_as_hashes_only(database, tmp_path):
    """Nothing on the disk holds it."""
    secret = _add(database)
    assert is_photo_id(secret)
    account = _get(database, "new")
    assert verify_mosquitto(secret, account.mqtt_hash)
    assert account.bcrypt_hash.startswith("$2b$")
    database.close()
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_a_camera_s_row_comes_with_its_account(database):
    _add(database, "dslr", ftp_only=True)
    camera = database.read(lambda one: cameras.get(one, "dslr"))
    assert (camera.name, camera.ftp_only, camera.revoked, camera.presence) == ("dslr", True, False, "offline")
    _add(database, "phone", role=Role.READER)
    assert database.read(lambda one: cameras.get(one, "phone")) is None


def test_an_update_key_is_a_camera_s_own_and_goes_with_its_account(database):
    """Issued with the token, anew with each, forgotten when the camera is revoked; who takes no firmware has none."""

    def key(name="new"):
        return database.read(lambda one: accounts.update_key(one, name))

    _add(database)
    first = key()
    assert len(bytes.fromhex(first)) == 32
    assert key("cam") not in {None, first}
    database.write(lambda one: accounts.rotate(one, name="new", now_ms=6))
    second = key()
    assert second not in {None, first}
    database.write(lambda one: accounts.revoke(one, name="new", now_ms=7))
    assert key() is None
    _add(database)
    assert key() not in {None, first, second}
    _add(database, "dslr", ftp_only=True)
    database.write(lambda one: accounts.rotate(one, name="dslr", now_ms=6))
    _add(database, "phone", role=Role.READER)
    assert [key("dslr"), key("phone"), key("nobody")] == [None, None, None]


@pytest.mark.parametrize("name", ["server", "Not A Slug", ""])
def test_a_bad_name_is_refused(database, name):
    with pytest.raises(NameRejectedError):
        _add(database, name)


def test_a_name_is_taken_once(database):
    _add(database)
    for role in (Role.CAMERA, Role.OPERATOR):
        with pytest.raises(ConflictError, match="already"):
            _add(database, role=role)


def test_a_revoked_account_is_void_and_comes_back_with_a_new_secret(database):
    """In its own role only: a camera's history is not handed to an operator of the same name."""
    old = _add(database)
    database.write(lambda one: accounts.revoke(one, name="new", now_ms=9))
    assert _get(database, "new").revoked_at_ms == 9
    assert "new" not in [account.name for account in database.read(accounts.active)]
    assert database.read(lambda one: cameras.get(one, "new")).revoked
    with pytest.raises(ConflictError):
        _add(database, role=Role.OPERATOR)
    new = _add(database)
    account = _get(database, "new")
    assert account.revoked_at_ms is None
    assert verify_mosquitto(new, account.mqtt_hash)
    assert not verify_mosquitto(old, account.mqtt_hash)


def test_rotating_voids_the_old_secret(database):
    old = _add(database, ftp_only=True)
    new = database.write(lambda one: accounts.rotate(one, name="new", now_ms=6))
    account = _get(database, "new")
    assert verify_mosquitto(new, account.mqtt_hash)
    assert not verify_mosquitto(old, account.mqtt_hash)
    assert account.ftp_only


@pytest.mark.parametrize("name", ["nobody", "gone", "../x"])
def test_what_is_not_there_can_t_be_rotated_or_revoked(database, name):
    _add(database, "gone")
    database.write(lambda one: accounts.revoke(one, name="gone", now_ms=9))
    for change in (accounts.rotate, accounts.revoke):
        with pytest.raises(NotFoundError):
            database.write(lambda one, change=change: change(one, name=name, now_ms=9))


def test_every_change_of_an_account_is_noticed(database):
    """Brokers keep copies: the revision grows with each, so that they know to read again."""
    seen = [database.read(accounts.revision)]
    for change in (
        lambda one: accounts.add(one, name="new", role=Role.CAMERA, now_ms=1),
        lambda one: accounts.rotate(one, name="new", now_ms=2),
        lambda one: accounts.revoke(one, name="new", now_ms=3),
        lambda one: accounts.add(one, name="new", role=Role.CAMERA, now_ms=4),
        lambda one: accounts.set_server_secret(one, name="bridge", secret="x", now_ms=5),
    ):
        database.write(change)
        seen.append(database.read(accounts.revision))
    assert seen == sorted(set(seen))


def test_active_accounts_may_be_of_one_role(database):
    _add(database, "eye", role=Role.READER)
    assert [one.name for one in database.read(lambda one: accounts.active(one, role=Role.READER))] == ["eye"]
    assert [one.name for one in database.read(accounts.active)] == ["cam", "eye"]


def test_a_token_is_found_by_its_secret_until_it_is_revoked(database, tmp_path):
    token, secret = database.write(lambda one: accounts.create_token(one, name="phone", role=Role.READER, now_ms=1))
    assert database.read(lambda one: accounts.find_token(one, secret)) == token
    assert database.read(lambda one: accounts.find_token(one, secret[:-1])) is None
    assert database.read(accounts.tokens) == [token]
    with pytest.raises(ConflictError):
        database.write(lambda one: accounts.create_token(one, name="phone", role=Role.READER, now_ms=2))
    database.write(lambda one: accounts.revoke_token(one, name="phone", now_ms=3))
    assert database.read(lambda one: accounts.find_token(one, secret)) is None
    with pytest.raises(NotFoundError):
        database.write(lambda one: accounts.revoke_token(one, name="phone", now_ms=4))
    again, other = database.write(lambda one: accounts.create_token(one, name="phone", role=Role.READER, now_ms=5))
    assert (again.id, other) != (token.id, secret)
    database.close()
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("role", [Role.CAMERA, Role.SERVER])
def test_a_token_is_a_reader_s_or_an_operator_s(database, role):
    with pytest.raises(ConflictError):
        database.write(lambda one: accounts.create_token(one, name="x", role=role, now_ms=1))


def test_hashes_are_salted_and_check_what_they_should():
    assert mosquitto_hash("secret") != mosquitto_hash("secret")
    assert bcrypt_hash("secret") != bcrypt_hash("secret")
    assert token_hash("secret") == token_hash("secret") != token_hash("Secret")
    assert verify_mosquitto("secret", mosquitto_hash("secret"))
    assert not verify_mosquitto("Secret", mosquitto_hash("secret"))


def test_mosquitto_s_own_hash_is_understood():
    """Made by `mosquitto_passwd` 2.0.11."""
    hashed = "$7$101$9eCNBDHJ7oXJnAH8$Fe/pw8iovj4ebszI1sYmskFlHAo0I/4ieKLFIBLoxGsA9gS/KEv+TXxrs3DfWYOv5qLvw1uboIS8KFA3+7FnRw=="
    assert verify_mosquitto("secret", hashed)
    assert not verify_mosquitto("secret2", hashed)


@pytest.mark.parametrize(
    "hashed",
    ["", "$", "$7$101$x", "$6$101$AAAA$AAAA", "$7$many$AAAA$AAAA", "$7$0$AAAA$AAAA", "$7$1$!$!", "$7$-1$AAAA$AAAA"],
)
def test_a_malformed_hash_matches_nothing(hashed):
    assert not verify_mosquitto("secret", hashed)
