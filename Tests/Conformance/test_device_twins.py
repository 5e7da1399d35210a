"""Twins as devices see them: read, reported properties, notifications of desired ones."""

import uuid

import pytest
from azure.iot.device.exceptions import ClientError
from azure.iot.hub.models import Twin, TwinProperties

from hub import eventually


def desired(**values) -> Twin:
    return Twin(properties=TwinProperties(desired=values))


@pytest.fixture
def name(world) -> str:
    [name] = world.create_devices(1)
    return name


@pytest.fixture
def device(start, name):
    return start(name).connect()


def test_a_new_twin(device):
    assert device.client.get_twin() == {"desired": {"$version": 1}, "reported": {"$version": 1}}


def test_the_device_sees_its_properties_and_no_more(world, device, name):
    world.registry.update_twin(name, Twin(tags={"hidden": 1}, properties=TwinProperties(desired={"fan": {"speed": 3}})))
    device.client.patch_twin_reported_properties({"fan": {"speed": 2}, "text": "ünïcode \" 😀"})
    assert device.client.get_twin() == {
        "desired": {"fan": {"speed": 3}, "$version": 2},
        "reported": {"fan": {"speed": 2}, "text": "ünïcode \" 😀", "$version": 2},
    }


def test_what_a_device_reports_is_in_its_twin(world, device, name):
    before = world.registry.get_twin(name)
    device.client.patch_twin_reported_properties({"temperature": 21, "old": 1, "net": {"ssid": "x", "channel": 6}})
    device.client.patch_twin_reported_properties({"temperature": 22, "old": None, "net": {"channel": None}})
    twin = world.registry.get_twin(name)
    reported = dict(twin.properties.reported)
    metadata = reported.pop("$metadata")
    assert reported == {"temperature": 22, "net": {"ssid": "x"}, "$version": 3}
    assert set(metadata) - {"$lastUpdated"} == {"temperature", "net"}
    assert "$lastUpdatedVersion" not in metadata["temperature"], "only desired properties have it"
    assert twin.etag == before.etag, "an etag is for what services write"
    assert twin.version == before.version + 2
    found = world.query(f"SELECT * FROM devices WHERE {world.condition} AND properties.reported.temperature = 22")
    assert [item["deviceId"] for item in found] == [name]


@pytest.mark.parametrize(
    "patch",
    [
        {"a.b": 1}, {"a$": 1}, {"a b": 1}, {"$version": 9}, {"text": "x" * 4097}, {"number": 4503599627370496},
        {"list": [None]}, {f"key{number}": "x" * 4000 for number in range(9)},
        {"l1": {"l2": {"l3": {"l4": {"l5": {"l6": {"l7": {"l8": {"l9": {"l10": {"l11": {"l12": 1}}}}}}}}}}}},
    ],
    ids=["dot", "dollar", "space", "version", "text", "number", "null", "size", "depth"],
)
def test_a_refused_report(world, device, name, patch):
    """The SDK raises, the twin stays as it was, and the connection as well."""
    device.client.patch_twin_reported_properties({"fine": 1})
    with pytest.raises(ClientError) as caught:
        device.client.patch_twin_reported_properties({"other": 2, **patch})
    assert "400" in str(caught.value.__cause__ or caught.value)
    assert device.client.get_twin()["reported"] == {"fine": 1, "$version": 2}
    assert False not in device.states.so_far()


def test_desired_changes_reach_the_device(world, device, name):
    """The patch as the service gave it, nulls included, with the version; changes of tags are none of its business."""
    device.watch_desired()
    world.registry.update_twin(name, desired(fan={"speed": 3}, old=1))
    world.registry.update_twin(name, Twin(tags={"floor": 3}))
    world.registry.update_twin(name, desired(fan={"speed": 3}, old=None))
    assert device.patches.after(2) == [
        {"fan": {"speed": 3}, "old": 1, "$version": 2}, {"fan": {"speed": 3}, "old": None, "$version": 3},
    ]
    world.registry.update_twin(name, desired(last=True))
    assert device.patches.after(3)[2:] == [{"last": True, "$version": 4}]


def test_a_replaced_twin_reaches_the_device(world, device, name):
    """All new values, and null for what is gone."""
    world.registry.update_twin(name, desired(keep=1, gone=2, group={"also": "gone"}))
    device.watch_desired()
    world.registry.replace_twin(name, desired(keep=3, new=4))
    assert device.patches.after(1) == [{"keep": 3, "new": 4, "gone": None, "group": None, "$version": 3}]
    assert device.client.get_twin()["desired"] == {"keep": 3, "new": 4, "$version": 3}


def test_a_job_reaches_the_device(world, device, name):
    device.watch_desired()
    job_id = f"twinJob-{uuid.uuid4()}"
    world.twin_job(job_id, tags={"ring": 2}, desired={"firmware": "4.1", "old": None})
    device.patches.after(1)
    assert world.finished(job_id).status == "completed"
    # A job's notification is made at least once; the version makes a repetition harmless.
    assert all(patch == {"firmware": "4.1", "old": None, "$version": 2} for patch in device.patches.so_far())


def test_nothing_is_kept_for_a_device_that_is_away(world, device, name):
    device.watch_desired()
    device.client.disconnect()
    world.registry.update_twin(name, desired(missed=1))
    device.client.connect()
    # The SDK reads the twin by itself, and tells its program what is new in it, as if it were a patch.
    assert device.patches.after(1) == [{"missed": 1, "$version": 2}]
    world.registry.update_twin(name, desired(seen=1))
    assert device.patches.after(2)[1:] == [{"seen": 1, "$version": 3}]
