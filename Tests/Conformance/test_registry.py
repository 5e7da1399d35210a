"""The device registry through the SDK: identities, etags, bulk operations, lists, statistics."""

import base64

import pytest
from azure.iot.hub.models import ExportImportDevice
from msrest.exceptions import HttpOperationError

PRIMARY = base64.b64encode(bytes(range(32))).decode()
SECONDARY = base64.b64encode(bytes(range(32, 64))).decode()


def refused(status: int, call, *arguments, **named):
    with pytest.raises(HttpOperationError) as caught:
        call(*arguments, **named)
    assert caught.value.response.status_code == status
    return caught.value.response


def test_create_and_read(world):
    name = world.device_id(1)
    created = world.registry.create_device_with_sas(name, PRIMARY, SECONDARY, "enabled", status_reason="new")
    read = world.registry.get_device(name)
    for device in (created, read):
        assert device.device_id == name
        assert device.status == "enabled"
        assert device.status_reason == "new"
        assert device.connection_state == "Disconnected"
        assert device.authentication.type == "sas"
        assert device.authentication.symmetric_key.primary_key == PRIMARY
        assert device.authentication.symmetric_key.secondary_key == SECONDARY
        assert device.etag and device.generation_id
    assert created.etag == read.etag


def test_keys_are_made_when_none_are_given(world):
    device = world.registry.create_device_with_sas(world.device_id(1), "", "", "disabled")
    key = device.authentication.symmetric_key
    assert len(base64.b64decode(key.primary_key)) == len(base64.b64decode(key.secondary_key)) == 32
    assert key.primary_key != key.secondary_key
    assert device.status == "disabled"


def test_a_device_is_created_once(world):
    name = world.device_id(1)
    world.registry.create_device_with_sas(name, PRIMARY, SECONDARY, "enabled")
    response = refused(409, world.registry.create_device_with_sas, name, PRIMARY, SECONDARY, "enabled")
    assert response.headers["iothub-errorcode"] == "DeviceAlreadyExists"
    assert "ErrorCode:DeviceAlreadyExists;" in response.json()["Message"]


def test_update_with_etag(world):
    name = world.device_id(1)
    first = world.registry.create_device_with_sas(name, PRIMARY, SECONDARY, "enabled")
    second = world.registry.update_device_with_sas(name, first.etag, SECONDARY, PRIMARY, "disabled")
    assert second.status == "disabled"
    assert second.authentication.symmetric_key.primary_key == SECONDARY
    assert second.etag != first.etag
    assert second.generation_id == first.generation_id
    response = refused(
        412, world.registry.update_device_with_sas, name, first.etag, PRIMARY, SECONDARY, "enabled"
    )
    assert response.headers["iothub-errorcode"] == "PreconditionFailed"
    assert world.registry.get_device(name).status == "disabled"


def test_delete(world):
    name = world.device_id(1)
    device = world.registry.create_device_with_sas(name, PRIMARY, SECONDARY, "enabled")
    refused(412, world.registry.delete_device, name, "MTIz")
    world.registry.delete_device(name, device.etag)
    assert refused(404, world.registry.get_device, name).headers["iothub-errorcode"] == "DeviceNotFound"
    refused(404, world.registry.get_twin, name)
    refused(404, world.registry.delete_device, name)
    again = world.registry.create_device_with_sas(name, PRIMARY, SECONDARY, "enabled")
    assert again.generation_id != device.generation_id


@pytest.mark.parametrize("name", ["a b", "a\\b", "x" * 129, "ü"])
def test_bad_ids_are_refused(world, name):
    response = refused(400, world.registry.create_device_with_sas, name, "", "", "enabled")
    assert response.headers["iothub-errorcode"] == "ArgumentInvalid"


@pytest.mark.parametrize("suffix", ["-:.+%_#*?!(),=@;$'"])
def test_every_allowed_character(world, suffix):
    name = world.name + suffix
    world.registry.create_device_with_sas(name, "", "", "enabled")
    assert world.registry.get_device(name).device_id == name
    world.registry.delete_device(name)


def test_bulk(world):
    ids = world.create_devices(150, kind="bulk")
    assert world.registry.get_twin(ids[149]).tags == {"world": world.name, "kind": "bulk"}
    changes = [
        ExportImportDevice(id=ids[0], import_mode="delete"),
        ExportImportDevice(id=ids[1], import_mode="updateTwin", status="enabled", tags={"kind": "changed"}),
        ExportImportDevice(id=ids[2], import_mode="update", status="disabled"),
    ]
    assert world.registry.bulk_create_or_update_devices(changes).is_successful
    refused(404, world.registry.get_device, ids[0])
    assert world.registry.get_twin(ids[1]).tags["kind"] == "changed"
    assert world.registry.get_device(ids[2]).status == "disabled"


def test_bulk_tells_which_device_failed(world):
    ids = world.create_devices(1)
    mixed = [
        ExportImportDevice(id=ids[0], import_mode="create", status="enabled"),
        ExportImportDevice(id=world.device_id(7), import_mode="create", status="enabled"),
    ]
    result = world.registry.bulk_create_or_update_devices(mixed)
    assert result.is_successful is False
    [error] = result.errors
    assert (error.device_id, error.error_code) == (ids[0], "DeviceAlreadyExists")


def test_list_and_statistics(world):
    before = world.registry.get_device_registry_statistics()
    ids = world.create_devices(3)
    world.registry.create_device_with_sas(world.device_id(9), "", "", "disabled")
    after = world.registry.get_device_registry_statistics()
    assert after.total_device_count - before.total_device_count == 4
    assert after.enabled_device_count - before.enabled_device_count == 3
    assert after.disabled_device_count - before.disabled_device_count == 1
    assert world.registry.get_service_statistics().connected_device_count == 0
    assert len(world.registry.get_devices(2)) == 2
    listed = {device.device_id for device in world.registry.get_devices(1000)}
    assert after.total_device_count >= 1000 or set(ids) <= listed


def test_only_this_service_is_spoken(world):
    """Modules are not part of Muster: the SDK gets an error it understands, not a hang."""
    world.create_devices(1)
    refused(404, world.registry.get_module, world.device_id(0), "m1")
