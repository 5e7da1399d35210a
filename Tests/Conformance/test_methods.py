"""Direct methods outside jobs: the service SDK calls, the device SDK answers."""

import http.client
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub import API_VERSION, token
from test_registry import refused

PAYLOAD_LIMIT = 128 * 1024


@pytest.fixture
def name(world) -> str:
    [name] = world.create_devices(1)
    return name


def problem(response) -> dict:
    """The inner document of an error of the form that methods have (wire contract 9.1, B)."""
    body = response.json()
    assert set(body) == {"Message", "ExceptionMessage"}
    return json.loads(body["Message"])


@pytest.mark.parametrize(
    "payload", [{"speed": 3, "of": ["fan", None]}, [1, 2], "ünïcode \" \\ 😀", 1.5, 0, False],
    ids=["object", "array", "text", "double", "zero", "false"],
)
def test_a_method_is_answered(world, start, name, payload):
    device = start(name, lambda request: (200, {"got": request.payload})).serve_methods()
    result = world.invoke(name, "setSpeed", payload)
    assert (result.status, result.payload) == (200, {"got": payload})
    assert device.methods.so_far() == [("setSpeed", payload)]


def test_what_the_device_answers_is_passed_on(world, start, name):
    """Its status is no HTTP status, and an answer may have no payload."""
    answers = {"ok": (200, None), "missing": (404, {"why": "no such door"}), "negative": (-1, []), "large": (2147483647, "")}
    start(name, lambda request: answers[request.name]).serve_methods()
    for method, answer in answers.items():
        result = world.invoke(name, method)
        assert (result.status, result.payload) == answer


@pytest.mark.parametrize("method", ["lock door", "a+b#c", "50%", "tür/öffnen", "x" * 100, "$iothub"])
def test_method_names(world, start, name, method):
    """The SDK decodes the name from the topic, so that any name must arrive as it was given."""
    device = start(name).serve_methods()
    assert world.invoke(name, method).status == 200
    assert device.methods.so_far() == [(method, "")], "the service SDK sends an empty text when it is given no payload"


def test_the_payload_may_be_left_out(world, start, name):
    device = start(name).serve_methods()
    response = world.hub.request("POST", f"/twins/{name}/methods", json={"methodName": "lockDoor"})
    assert (response.status_code, response.json()) == (200, {"status": 200, "payload": None})
    assert device.methods.so_far() == [("lockDoor", None)]


def test_large_payloads_both_ways(world, start, name):
    """The limit is for the JSON text, quotes included."""
    device = start(name, lambda request: (200, request.payload)).serve_methods()
    largest = "x" * (PAYLOAD_LIMIT - 2)
    result = world.invoke(name, "echo", largest)
    assert (result.status, result.payload) == (200, largest)
    response = refused(413, world.invoke, name, "echo", largest + "x")
    assert response.headers["iothub-errorcode"] == "MessageTooLarge"
    assert problem(response)["errorCode"] == 413001
    assert len(device.methods.so_far()) == 1


def test_an_offline_device(world, name):
    response = refused(404, world.invoke, name, "lockDoor")
    assert response.headers["iothub-errorcode"] == "DeviceNotOnline"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    inner = problem(response)
    assert inner["errorCode"] == 404103
    assert inner["info"] == {"timeout": "00:00:00"}
    assert set(inner) == {"errorCode", "trackingId", "message", "info", "timestampUtc"}


def test_a_device_that_takes_no_methods_is_offline_to_them(world, start, name):
    start(name).connect()
    response = refused(404, world.invoke, name, "lockDoor")
    assert problem(response)["errorCode"] == 404103


def test_a_device_that_went_away_is_offline(world, start, name):
    device = start(name).serve_methods()
    assert world.invoke(name, "lockDoor").status == 200
    device.client.disconnect()
    response = refused(404, world.invoke, name, "lockDoor")
    assert problem(response)["errorCode"] == 404103
    device.client.connect()
    assert world.invoke(name, "lockDoor").status == 200, "its subscription was kept"


def test_an_unknown_device(world):
    response = refused(404, world.invoke, "nobody", "lockDoor")
    assert response.headers["iothub-errorcode"] == "DeviceNotFound"
    assert problem(response)["errorCode"] == 404001


def test_the_connect_timeout_passes(world, name):
    began = time.monotonic()
    response = refused(404, world.invoke, name, "lockDoor", connect=2)
    assert 2 <= time.monotonic() - began < 30
    assert problem(response)["info"] == {"timeout": "00:00:02"}


def test_the_connect_timeout_is_met(world, start, name):
    """The request is on its way before the device begins to connect, and its answer comes after."""
    body = {"methodName": "lockDoor", "payload": 7, "connectTimeoutInSeconds": 60, "responseTimeoutInSeconds": 30}
    device = start(name, lambda request: (200, {"got": request.payload}))
    context = ssl.create_default_context(cafile=str(world.hub.authority))
    connection = http.client.HTTPSConnection(world.hub.host, context=context, timeout=90)
    try:
        connection.request(
            "POST", f"/twins/{name}/methods?api-version={API_VERSION}", json.dumps(body),
            {
                "Authorization": token(world.hub.host, world.hub.policy, world.hub.key, int(time.time()) + 600),
                "Content-Type": "application/json",
            },
        )
        device.serve_methods()
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())) == (200, {"status": 200, "payload": {"got": 7}})
    finally:
        connection.close()
    assert device.methods.so_far() == [("lockDoor", 7)]


def test_a_device_that_does_not_answer(world, start, name):
    device = start(name, lambda request: None).serve_methods()
    began = time.monotonic()
    response = refused(504, world.invoke, name, "lockDoor", response=5)
    assert 5 <= time.monotonic() - began < 30, "the default would be 30"
    assert response.headers["iothub-errorcode"] == "GatewayTimeout"
    assert problem(response)["errorCode"] == 504101
    assert len(device.methods.after(1)) == 1, "called once, not again"


def test_a_device_that_drops_during_the_call(world, start, name):
    """From another thread than its handler's: the SDK's disconnect waits for running handlers to return."""
    device = start(name, lambda request: None).serve_methods()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(refused, 404, world.invoke, name, "lockDoor", response=60)
        device.methods.after(1)
        device.client.disconnect()
        response = call.result(timeout=30)
    assert problem(response)["errorCode"] == 404103
    assert len(device.methods.so_far()) == 1


@pytest.mark.parametrize(
    ("change", "name_of_error", "code"),
    [
        ({"responseTimeoutInSeconds": 4}, "ArgumentInvalid", 400004),
        ({"responseTimeoutInSeconds": 301}, "ArgumentInvalid", 400004),
        ({"connectTimeoutInSeconds": -1}, "ArgumentInvalid", 400004),
        ({"connectTimeoutInSeconds": 301}, "ArgumentInvalid", 400004),
        ({"methodName": None}, "ArgumentNull", 400005),
        ({"methodName": ""}, "ArgumentNull", 400005),
        ({"responseTimeoutInSeconds": "30"}, "DeserializationError", 400012),
    ],
    ids=str,
)
def test_bad_requests(world, start, name, change, name_of_error, code):
    device = start(name).serve_methods()
    body = {"methodName": "lockDoor", "payload": None, **change}
    response = world.hub.request("POST", f"/twins/{name}/methods", json=body)
    assert response.status_code == 400
    assert response.headers["iothub-errorcode"] == name_of_error
    assert problem(response)["errorCode"] == code
    assert device.methods.so_far() == []


def test_calls_are_for_those_who_may_connect_as_a_service(world, start, name):
    start(name).serve_methods()
    for policy, status in (("service", 200), ("device", 401), ("registryRead", 401), ("registryReadWrite", 401)):
        response = world.hub.under(policy).request("POST", f"/twins/{name}/methods", json={"methodName": "lockDoor"})
        assert response.status_code == status, policy
