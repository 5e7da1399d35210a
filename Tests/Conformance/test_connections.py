"""Connections of devices: who may connect, who wins, what is kept, and what services see of it."""

import base64
import datetime
import time

import pytest
from azure.iot.device import IoTHubDeviceClient, Message
from azure.iot.device.exceptions import ClientError, CredentialError
from azure.iot.hub.models import Twin, TwinProperties

from device import connection_string
from hub import eventually, token
from test_registry import refused

NEVER = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture
def name(world) -> str:
    [name] = world.create_devices(1)
    return name


def disable(world, name: str, status: str = "disabled") -> None:
    device = world.registry.get_device(name)
    keys = device.authentication.symmetric_key
    world.registry.update_device_with_sas(name, device.etag, keys.primary_key, keys.secondary_key, status)


def test_both_keys_open_the_door(world, start, name):
    secondary = world.registry.get_device(name).authentication.symmetric_key.secondary_key
    for key in (world.key(name), secondary):
        device = start(name, key=key).connect()
        assert device.client.connected
        device.client.disconnect()


def test_a_wrong_key(start, name):
    with pytest.raises(CredentialError):
        start(name, key=base64.b64encode(b"x" * 32).decode()).connect()


def test_another_devices_key(world, start):
    first, second = world.create_devices(2)
    with pytest.raises(CredentialError):
        start(first, key=world.key(second)).connect()


def test_an_unknown_device(world, start):
    with pytest.raises(CredentialError):
        start(world.device_id(999), key=base64.b64encode(b"x" * 32).decode()).connect()


def test_an_authority_that_the_device_does_not_trust(world, name):
    client = IoTHubDeviceClient.create_from_connection_string(connection_string(name, world.key(name)))
    try:
        with pytest.raises(ClientError):
            client.connect()
    finally:
        client.shutdown()


def test_a_disabled_device(world, start, name):
    """It is closed, cannot come back, and can once it is enabled again. The SDK must not try by itself: the late end of a
    refused attempt can be taken for the end of the next, so that each client here is refused once at most."""
    device = start(name, connection_retry=False).serve_methods()
    disable(world, name)
    eventually(lambda: not device.client.connected)
    with pytest.raises(CredentialError):
        device.client.connect()
    refused(404, world.invoke, name, "lockDoor")
    disable(world, name, "enabled")
    start(name).serve_methods()
    assert world.invoke(name, "lockDoor").status == 200


def test_a_deleted_device(world, start, name):
    device = start(name, connection_retry=False).serve_methods()
    world.registry.delete_device(name)
    eventually(lambda: not device.client.connected)
    with pytest.raises(CredentialError):
        device.client.connect()


def test_services_see_who_is_connected(world, start, name):
    def states():
        return world.registry.get_twin(name).connection_state, world.registry.get_device(name).connection_state

    def count():
        return world.registry.get_service_statistics().connected_device_count

    assert states() == ("Disconnected", "Disconnected")
    assert world.registry.get_twin(name).last_activity_time == NEVER
    device = start(name).connect()
    eventually(lambda: states() == ("Connected", "Connected"))
    eventually(lambda: count() >= 1)
    connected = f"SELECT * FROM devices WHERE {world.condition} AND connectionState = 'Connected'"
    eventually(lambda: [item["deviceId"] for item in world.query(connected)] == [name])
    device.client.disconnect()
    eventually(lambda: states() == ("Disconnected", "Disconnected"))
    now = datetime.datetime.now(datetime.timezone.utc)
    eventually(lambda: abs(world.registry.get_twin(name).last_activity_time - now) < datetime.timedelta(minutes=1))


def test_telemetry_is_taken_and_counts_as_activity(world, start, name):
    device = start(name).connect()
    message = Message('{"temperature":21}', message_id="m1", content_type="application/json", content_encoding="utf-8")
    message.custom_properties = {"k 1": "v/1"}
    device.client.send_message(message)
    device.client.send_message("plain")
    eventually(lambda: world.registry.get_twin(name).last_activity_time > NEVER)
    assert False not in device.states.so_far()


def test_the_second_connection_wins(world, start, name):
    first = start(name, lambda request: (200, "first"), connection_retry=False).serve_methods()
    assert world.invoke(name, "who").payload == "first"
    second = start(name, lambda request: (200, "second"), connection_retry=False).serve_methods()
    eventually(lambda: not first.client.connected)
    eventually(lambda: first.states.so_far() == [True, False])
    assert second.client.connected
    assert world.invoke(name, "who").payload == "second"
    assert len(first.methods.so_far()) == 1
    eventually(lambda: world.registry.get_twin(name).connection_state == "Connected")


def test_subscriptions_survive(world, start, name):
    """The SDK connects again by itself after the server has closed its connection, and never subscribes again."""
    device = start(name, lambda request: (200, "first")).serve_methods().watch_desired()
    other = start(name, connection_retry=False).connect()
    eventually(lambda: device.states.so_far() == [True, False, True])
    eventually(lambda: not other.client.connected)
    assert world.invoke(name, "who", connect=10).payload == "first"
    world.registry.update_twin(name, Twin(properties=TwinProperties(desired={"fan": 1})))
    eventually(lambda: {"fan": 1, "$version": 2} in device.patches.so_far())
    device.client.patch_twin_reported_properties({"fan": 1})
    assert device.client.get_twin()["reported"] == {"fan": 1, "$version": 2}


def test_a_token_that_expires(world, start, name):
    """The hub closes the connection at that moment, and refuses the token from then on."""
    resource, key, expires = f"localhost/devices/{name}", world.key(name), int(time.time()) + 10
    client = IoTHubDeviceClient.create_from_sastoken(
        token(resource, None, key, expires), server_verification_cert=world.hub.authority.read_text(),
        connection_retry=False,
    )
    try:
        client.connect()
        eventually(lambda: not client.connected)
        assert time.time() >= expires
        with pytest.raises(CredentialError):
            client.connect()
    finally:
        client.shutdown()
    assert start(name).connect().client.connected


def test_a_token_is_renewed(world, start, name):
    """The SDK connects anew two minutes before its token expires, which is soon here; subscriptions stay."""
    device = start(name, sastoken_ttl=122).serve_methods()
    eventually(lambda: device.states.so_far()[:3] == [True, False, True])
    assert world.invoke(name, "lockDoor", connect=30).status == 200


def test_messages_to_the_device_may_be_asked_for(world, start, name):
    """None come yet, but a program that listens for them works."""
    device = start(name).serve_methods()
    device.client.on_message_received = lambda message: None
    assert world.invoke(name, "lockDoor").status == 200
    assert False not in device.states.so_far()
