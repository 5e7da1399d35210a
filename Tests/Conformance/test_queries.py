"""Twin queries through the SDK: conditions, projections, aggregates, pages, refusals."""

import pytest
from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties

from test_registry import refused


@pytest.fixture
def fleet(world):
    """Twelve devices over two buildings and three floors; one with a desired property."""
    for building in ("43", "44"):
        for floor in (1, 2, 3):
            for door in (1, 2):
                name = f"{world.name}-{building}-{floor}-{door}"
                world.registry.create_device_with_sas(name, "", "", "enabled")
                tags = {"world": world.name, "building": building, "floor": floor}
                properties = TwinProperties(desired={"mode": "night"}) if (floor, door) == (3, 1) else None
                world.registry.update_twin(name, Twin(tags=tags, properties=properties))
    return world


def ids(items) -> list[str]:
    return sorted(item["deviceId"] for item in items)


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("tags.building = '43'", 6),
        ("tags.building = '43' AND tags.floor = 3", 2),
        ("tags.building = '43' AND (tags.floor = 1 OR tags.floor > 2)", 4),
        ("NOT tags.floor IN [1, 2]", 4),
        ("tags.floor >= 2 AND tags.floor != 3", 4),
        ("properties.desired.mode = 'night'", 2),
        ("is_defined(properties.desired.mode)", 2),
        ("NOT is_defined(properties.desired.mode)", 10),
        ("startswith(tags.building, '4') AND tags.floor = 1", 4),
        ("tags.floor = '3'", 0),
        ("tags.missing = 1", 0),
        ("status = 'enabled' AND connectionState = 'Disconnected'", 12),
    ],
)
def test_conditions(fleet, condition, count):
    items = fleet.query(f"SELECT * FROM devices WHERE tags.world = '{fleet.name}' AND ({condition})")
    assert len(items) == count
    assert all(item["tags"]["world"] == fleet.name for item in items)


def test_device_ids(fleet):
    one = f"{fleet.name}-43-1-1"
    two = f"{fleet.name}-44-3-2"
    assert ids(fleet.query(f"SELECT * FROM devices WHERE deviceId = '{one}'")) == [one]
    assert ids(fleet.query(f"SELECT * FROM devices WHERE deviceId IN ['{two}', '{one}', 'nobody']")) == [one, two]


@pytest.mark.parametrize("page", [1, 5, 6, 12, 13])
def test_pages(fleet, page):
    items = fleet.query(f"SELECT * FROM devices WHERE {fleet.condition}", page)
    assert len(items) == 12
    assert len(set(ids(items))) == 12


def test_the_last_page_has_no_token(fleet):
    query = QuerySpecification(query=f"SELECT * FROM devices WHERE {fleet.condition}")
    first = fleet.registry.query_iot_hub(query, None, "6")
    second = fleet.registry.query_iot_hub(query, first.continuation_token, "6")
    assert (first.type, second.type) == ("Twin", "Twin")
    assert first.continuation_token and not second.continuation_token


def test_twins_in_a_query_are_the_twins(fleet):
    name = f"{fleet.name}-43-3-1"
    found = fleet.registry.query_iot_hub(
        QuerySpecification(query=f"SELECT * FROM devices WHERE deviceId = '{name}'")
    ).items[0]
    assert found.serialize() == fleet.registry.get_twin(name).serialize()


def test_projection(fleet):
    items = fleet.query(
        f"SELECT deviceId, tags.floor AS level FROM devices WHERE {fleet.condition} AND tags.floor = 2"
    )
    assert len(items) == 4
    assert all(item["level"] == 2 and "tags" not in item for item in items)


def test_aggregates(fleet):
    [total] = fleet.query(f"SELECT COUNT() AS total FROM devices WHERE {fleet.condition}")
    assert total["total"] == 12
    groups = fleet.query(
        "SELECT tags.building AS building, COUNT() AS doors, SUM(tags.floor) AS floors "
        f"FROM devices WHERE {fleet.condition} GROUP BY tags.building"
    )
    assert sorted((group["building"], group["doors"], group["floors"]) for group in groups) == [
        ("43", 6, 12), ("44", 6, 12),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM devices WHERE deviceId IN ['MyDevice1", "SELECT * FROM devices WHERE deviceId = 'a",
        'SELECT * FROM devices WHERE "deviceId IN [\'MyDevice1\']', "SELECT * FROM nowhere", "SELECT", "",
        "SELECT * FROM devices WHERE tags.a = 1 ORDER BY deviceId", "DELETE FROM devices",
        "SELECT * FROM devices WHERE deviceId = 'a'; DROP TABLE devices", "SELECT * FROM devices WHERE " + "(" * 5000,
    ],
)
def test_malformed_queries(world, text):
    refused(400, world.registry.query_iot_hub, QuerySpecification(query=text))


def test_foreign_token_and_bad_page_size(world):
    query = QuerySpecification(query=f"SELECT * FROM devices WHERE {world.condition}")
    refused(400, world.registry.query_iot_hub, query, "bm90IG91cnM=")
    refused(400, world.registry.query_iot_hub, query, None, "0")
