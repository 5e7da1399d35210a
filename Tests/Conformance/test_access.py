"""Who gets in: signatures, lifetimes, scopes and permissions, as the SDK and as plain requests send them."""

import base64
import time

import pytest
import requests
from azure.iot.hub.models import QuerySpecification, Twin
from msrest.exceptions import HttpOperationError

from hub import token
from test_registry import refused

EVERYTHING = QuerySpecification(query="SELECT * FROM devices WHERE deviceId = 'nobody'")


def test_tls_needs_the_authority(hub, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(requests.exceptions.SSLError):
        hub.request("GET", "/devices")


def test_wrong_key(hub):
    stranger = hub.with_key(base64.b64encode(b"x" * 32).decode())
    response = refused(401, stranger.registry.query_iot_hub, EVERYTHING)
    assert response.headers["iothub-errorcode"] == "IotHubUnauthorizedAccess"
    assert response.json()["Message"].startswith("ErrorCode:IotHubUnauthorizedAccess;")
    refused(401, stranger.jobs.get_scheduled_job, "any")


def test_unknown_policy(hub):
    from dataclasses import replace

    refused(401, replace(hub, policy="nobody").registry.get_device, "any")


REGISTRY_READ, REGISTRY_WRITE, SERVICE = "registry read", "registry write", "service"
ALLOWED = {
    "iothubowner": {REGISTRY_READ, REGISTRY_WRITE, SERVICE},
    "service": {SERVICE},
    "device": set(),
    "registryRead": {REGISTRY_READ},
    "registryReadWrite": {REGISTRY_READ, REGISTRY_WRITE},
}


def calls(seen) -> dict:
    return {
        REGISTRY_READ: [
            lambda: seen.registry.get_device("nobody"), lambda: seen.registry.get_devices(1),
            lambda: seen.registry.get_device_registry_statistics(),
        ],
        REGISTRY_WRITE: [
            lambda: seen.registry.delete_device("nobody"), lambda: seen.registry.bulk_create_or_update_devices([]),
        ],
        SERVICE: [
            lambda: seen.registry.query_iot_hub(EVERYTHING), lambda: seen.registry.get_twin("nobody"),
            lambda: seen.registry.update_twin("nobody", Twin(tags={"a": 1})),
            lambda: seen.registry.get_service_statistics(), lambda: seen.jobs.get_scheduled_job("none"),
            lambda: seen.jobs.cancel_scheduled_job("none"),
        ],
    }


def status(call) -> int:
    try:
        call()
    except HttpOperationError as error:
        return error.response.status_code
    return 200


@pytest.mark.parametrize("policy", ALLOWED)
def test_policies_may_do_what_they_are_for(hub, policy):
    for permission, attempts in calls(hub.under(policy)).items():
        for number, attempt in enumerate(attempts):
            refused_here = status(attempt) == 401
            assert refused_here == (permission not in ALLOWED[policy]), (permission, number)


def plain(hub, authorization: str) -> int:
    return hub.request("GET", "/devices/nobody", authorization=authorization).status_code


def test_tokens(hub):
    soon = int(time.time()) + 600
    good = token(hub.host, hub.policy, hub.key, soon)
    assert plain(hub, good) == 404
    assert plain(hub, good.replace("%2F", "/")) == 404, "a raw slash in the signature, as the SDK sends it"
    parts = good.removeprefix("SharedAccessSignature ").split("&")
    assert plain(hub, "SharedAccessSignature " + "&".join(reversed(parts))) == 404
    assert plain(hub, token(f"{hub.host}/devices", hub.policy, hub.key, soon)) == 404
    assert plain(hub, token(f"{hub.host}/devices/nobody", hub.policy, hub.key, soon)) == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda hub, soon: token(hub.host, hub.policy, hub.key, int(time.time()) - 1),
        lambda hub, soon: token("elsewhere.example", hub.policy, hub.key, soon),
        lambda hub, soon: token(f"{hub.host}/devices/other", hub.policy, hub.key, soon),
        lambda hub, soon: token(f"{hub.host}/dev", hub.policy, hub.key, soon),
        lambda hub, soon: token(hub.host, hub.policy, hub.key, soon).replace("se=", "se=9"),
        lambda hub, soon: token(hub.host, hub.policy, hub.key, soon).replace("skn=iothubowner", "skn=service"),
        lambda hub, soon: token(hub.host, hub.policy, hub.key, soon).split("&skn=")[0],
        lambda hub, soon: token(hub.host, hub.policy, hub.key, soon) + "&se=1",
        lambda hub, soon: "SharedAccessSignature sr=x",
        lambda hub, soon: "Bearer abc",
        lambda hub, soon: "",
    ],
    ids=[
        "expired", "other host", "other device", "half a segment", "changed expiry", "changed policy", "no policy",
        "expiry twice", "no signature", "bearer", "empty",
    ],
)
def test_refused_tokens(hub, change):
    response = hub.request("GET", "/devices/nobody", authorization=change(hub, int(time.time()) + 600))
    assert response.status_code == 401
    assert response.headers["iothub-errorcode"] == "IotHubUnauthorizedAccess"
    assert hub.key not in response.text


def test_refused_calls_change_nothing(hub, world):
    stranger = hub.under("registryRead")
    refused(401, stranger.registry.create_device_with_sas, world.device_id(1), "", "", "enabled")
    refused(404, world.registry.get_device, world.device_id(1))
