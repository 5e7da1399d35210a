"""Device twins through the SDK: merge, replace, versions, metadata, etags, limits."""

import json

import pytest
from azure.iot.hub.models import Twin, TwinProperties

from test_registry import refused


def patch(tags=None, desired=None) -> Twin:
    return Twin(tags=tags, properties=TwinProperties(desired=desired) if desired is not None else None)


@pytest.fixture
def device(world) -> str:
    name = world.device_id(1)
    world.registry.create_device_with_sas(name, "", "", "enabled")
    return name


def test_a_new_twin(world, device):
    twin = world.registry.get_twin(device)
    assert twin.device_id == device
    assert twin.status == "enabled"
    assert twin.connection_state == "Disconnected"
    assert twin.version == 2
    assert twin.etag == "AAAAAAAAAAE="
    assert not twin.tags
    assert twin.properties.desired["$version"] == 1
    assert twin.properties.reported["$version"] == 1
    assert twin.properties.desired["$metadata"]["$lastUpdated"].endswith("Z")


def test_patch_merges(world, device):
    world.registry.update_twin(device, patch({"a": 1, "b": {"c": 2, "d": 3}}, {"net": {"ssid": "x"}, "old": 1}))
    twin = world.registry.update_twin(
        device, patch({"a": None, "b": {"d": 4, "e": "x"}}, {"net": {"channel": 6}, "old": None})
    )
    assert twin.tags == {"b": {"c": 2, "d": 4, "e": "x"}}
    desired = dict(twin.properties.desired)
    metadata = desired.pop("$metadata")
    assert desired == {"net": {"ssid": "x", "channel": 6}, "$version": 3}
    assert metadata["net"]["ssid"]["$lastUpdatedVersion"] == 2
    assert metadata["net"]["channel"]["$lastUpdatedVersion"] == 3
    assert metadata["net"]["$lastUpdatedVersion"] == 3
    assert "old" not in metadata
    assert twin.version == 4
    assert world.registry.get_twin(device).serialize() == twin.serialize()


def test_tags_alone_leave_the_desired_version(world, device):
    twin = world.registry.update_twin(device, patch({"building": "43", "floor": 3}))
    assert twin.properties.desired["$version"] == 1
    assert twin.version == 3
    assert twin.tags == {"building": "43", "floor": 3}


def test_every_kind_of_value_survives(world, device):
    values = {
        "text": "ünïcode \" \\ 😀", "integer": -4503599627370496, "large": 4503599627370495, "double": 1.5,
        "small": 1e-7, "yes": True, "no": False, "list": [1, "two", {"three": [3]}], "empty": {}, "none": [],
    }
    twin = world.registry.update_twin(device, patch(values, values))
    assert twin.tags == values
    assert {key: twin.properties.desired[key] for key in values} == values


def test_replace(world, device):
    world.registry.update_twin(device, patch({"a": 1, "b": 2}, {"x": 1, "y": 2}))
    twin = world.registry.replace_twin(device, patch({"b": 3}, {"y": 4}))
    assert twin.tags == {"b": 3}
    assert {key for key in twin.properties.desired if not key.startswith("$")} == {"y"}
    twin = world.registry.replace_twin(device, patch({"b": 3}))
    assert {key for key in twin.properties.desired if not key.startswith("$")} == set()


def test_etags(world, device):
    first = world.registry.get_twin(device)
    second = world.registry.update_twin(device, patch({"a": 1}), first.etag)
    assert second.etag == "AAAAAAAAAAI="
    response = refused(412, world.registry.update_twin, device, patch({"a": 2}), first.etag)
    assert response.headers["iothub-errorcode"] == "PreconditionFailed"
    assert json.loads(response.json()["Message"])["errorCode"] == 412001
    refused(412, world.registry.replace_twin, device, patch({"a": 2}), first.etag)
    assert world.registry.get_twin(device).tags == {"a": 1}
    assert world.registry.update_twin(device, patch({"a": 2}), second.etag).tags == {"a": 2}


@pytest.mark.parametrize(
    "tags",
    [
        {"a.b": 1}, {"a$": 1}, {"a b": 1}, {"": 1}, {"a\u0001": 1}, {"k" * 1025: 1}, {"a": [None]},
        {"text": "x" * 4097}, {"number": 4503599627370496},
        {"l1": {"l2": {"l3": {"l4": {"l5": {"l6": {"l7": {"l8": {"l9": {"l10": {"l11": {"l12": 1}}}}}}}}}}}},
        {f"key{number}": "x" * 4000 for number in range(3)},
    ],
    ids=["dot", "dollar", "space", "empty", "control", "key", "null", "text", "number", "depth", "size"],
)
def test_beyond_the_limits(world, device, tags):
    before = world.registry.get_twin(device)
    response = refused(400, world.registry.update_twin, device, patch({"fine": 1, **tags}))
    assert response.headers["iothub-errorcode"] == "ArgumentInvalid"
    assert json.loads(response.json()["Message"])["errorCode"] == 400004
    assert world.registry.get_twin(device).serialize() == before.serialize()


def test_unknown_device(world):
    response = refused(404, world.registry.update_twin, "nobody", patch({"a": 1}))
    assert json.loads(response.json()["Message"])["errorCode"] == 404001
