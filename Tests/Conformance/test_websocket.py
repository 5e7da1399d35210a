"""The device SDK with its option for networks that let only port 443 out: MQTT in a WebSocket on the port of the API."""

import base64
import http.client
import ssl

import pytest
from azure.iot.device.exceptions import CredentialError
from azure.iot.hub.models import Twin, TwinProperties
from paho.mqtt.client import Client

from hub import eventually

# The port that the SDK insists on. It takes root to listen there, so the tests send it to the port that the hub has.
WEBSOCKET_PORT = 443


@pytest.fixture(autouse=True)
def way_to_the_hub(hub, monkeypatch):
    connect = Client.connect
    port = int(hub.host.rpartition(":")[2])

    def redirected(self, host, **options):
        assert options.pop("port") == WEBSOCKET_PORT
        return connect(self, host, port=port, **options)

    monkeypatch.setattr(Client, "connect", redirected)


@pytest.fixture
def name(world) -> str:
    [name] = world.create_devices(1)
    return name


def test_methods_and_twins(world, start, name):
    """100 KB each way, so that frames of every length are seen."""
    large = "x" * 100_000
    device = start(name, lambda request: (200, {"got": request.payload}), websockets=True).serve_methods()
    result = world.invoke(name, "lockDoor", {"large": large})
    assert (result.status, result.payload) == (200, {"got": {"large": large}})

    device.watch_desired()
    version = device.client.get_twin()["desired"]["$version"]
    world.registry.update_twin(name, Twin(properties=TwinProperties(desired={"building": 43})), "*")
    assert device.patches.after(1) == [{"building": 43, "$version": version + 1}]
    device.client.patch_twin_reported_properties({"door": "locked"})
    twin = world.registry.get_twin(name)
    assert (twin.properties.reported["door"], twin.connection_state) == ("locked", "Connected")


def test_it_may_come_back(world, start, name):
    device = start(name, websockets=True).serve_methods()
    device.client.disconnect()
    device.client.connect()
    assert world.invoke(name, "lockDoor").status == 200
    assert device.methods.so_far() == [("lockDoor", "")]


def test_the_second_connection_wins(world, start, name):
    """Each connection closes the other's; the first has the last word, because it alone connects again."""
    device = start(name, websockets=True).serve_methods()
    other = start(name, websockets=True, connection_retry=False).connect()
    eventually(lambda: device.states.so_far() == [True, False, True])
    eventually(lambda: not other.client.connected)
    assert world.invoke(name, "lockDoor", connect=30).status == 200


def test_a_wrong_key(start, name):
    with pytest.raises(CredentialError):
        start(name, key=base64.b64encode(b"x" * 32).decode(), websockets=True).connect()


@pytest.mark.parametrize(
    "changed, status, text",
    [
        ({"Sec-WebSocket-Protocol": "amqp"}, 400, "subprotocol is not mqtt"),
        ({"Sec-WebSocket-Version": "8"}, 426, "version of WebSocket is not 13"),
        ({"Upgrade": "h2c"}, 426, "request to upgrade the connection"),
    ],
    ids=["subprotocol", "version", "upgrade"],
)
def test_what_is_refused(hub, changed, status, text):
    headers = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"x" * 16).decode(), "Sec-WebSocket-Protocol": "mqtt",
    }
    context = ssl.create_default_context(cafile=str(hub.authority))
    connection = http.client.HTTPSConnection(hub.host, timeout=30, context=context)
    try:
        connection.request("GET", "/$iothub/websocket", headers={**headers, **changed})
        response = connection.getresponse()
        assert (response.status, text in response.read().decode()) == (status, True)
    finally:
        connection.close()
