"""The list of jobs. The SDK cannot read the array that the service sends (it expects an object), so these requests are
plain HTTP, in both ways of paging that clients use."""

import datetime
import uuid

import pytest
from msrest.exceptions import DeserializationError


@pytest.fixture(scope="module")
def listed(hub):
    """Five jobs an hour ahead, cancelled at the end."""
    from hub import World

    world = World(hub, "w" + uuid.uuid4().hex[:10])
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    ids = [f"{world.name}-{number}" for number in range(5)]
    for job_id in ids:
        world.twin_job(job_id, start=start, tags={"a": 1})
    yield world, ids
    for job_id in ids:
        world.jobs.cancel_scheduled_job(job_id)


def pages(hub, size: int, by_header: bool, **filters) -> list[list[dict]]:
    found, continuation = [], None
    while True:
        if by_header:
            headers = {"x-ms-max-item-count": str(size), "x-ms-continuation": continuation}
            response = hub.request("GET", "/jobs/v2/query", headers={k: v for k, v in headers.items() if v}, params=filters)
        else:
            params = {"pageSize": size, "continuationToken": continuation, **filters}
            response = hub.request("GET", "/jobs/v2/query", params={k: v for k, v in params.items() if v})
        assert response.status_code == 200, response.text
        assert response.headers["x-ms-item-type"] == "JobResponse"
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert isinstance(response.json(), list)
        assert len(response.json()) <= size
        found.append(response.json())
        continuation = response.headers.get("x-ms-continuation")
        assert continuation != ""
        if continuation is None:
            return found
        assert len(response.json()) == size, "a page that is not the last is full"


@pytest.mark.parametrize("by_header", [True, False], ids=["headers", "parameters"])
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_pages(listed, hub, size, by_header):
    world, ids = listed
    jobs = [job for page in pages(hub, size, by_header, jobStatus="scheduled") for job in page]
    mine = [job for job in jobs if job["jobId"].startswith(world.name)]
    assert [job["jobId"] for job in mine] == ids[::-1], "newest first, each once"
    for job in mine:
        assert (job["type"], job["status"]) == ("scheduleUpdateTwin", "scheduled")
        assert "jobType" not in job and "endTime" not in job and None not in job.values()


def test_no_token_when_the_next_page_would_be_empty(listed, hub):
    total = len(pages(hub, 100, True, jobStatus="scheduled")[0])
    assert len(pages(hub, total, True, jobStatus="scheduled")) == 1


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"jobType": "scheduleUpdateTwin", "jobStatus": "scheduled"}, 5),
        ({"jobType": "ScheduleUpdateTwin", "jobStatus": "Scheduled"}, 5),
        ({"jobType": "scheduleTwinUpdate"}, 5),
        ({"jobType": "scheduleDeviceMethod"}, 0),
        ({"jobType": "export"}, 0),
        ({"jobStatus": "completed"}, 0),
        ({"jobStatus": "pending"}, 0),
        ({"jobStatus": "canceled"}, 0),
    ],
    ids=str,
)
def test_filters(listed, hub, filters, count):
    world, _ = listed
    jobs = [job for page in pages(hub, 100, True, **filters) for job in page]
    assert sum(job["jobId"].startswith(world.name) for job in jobs) == count


def test_a_header_wins_over_a_parameter(listed, hub):
    response = hub.request(
        "GET", "/jobs/v2/query", headers={"x-ms-max-item-count": "2"}, params={"pageSize": 1, "jobStatus": "scheduled"}
    )
    assert len(response.json()) == 2


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        ({"x-ms-max-item-count": "0"}, {}), ({"x-ms-max-item-count": "-1"}, {}), ({"x-ms-max-item-count": "many"}, {}),
        ({}, {"pageSize": "0"}), ({"x-ms-continuation": "bm90IG91cnM="}, {}), ({}, {"continuationToken": "made up"}),
        ({}, {"jobType": "nonsense"}), ({}, {"jobStatus": "nonsense"}),
    ],
    ids=str,
)
def test_bad_lists_are_refused(hub, headers, params):
    response = hub.request("GET", "/jobs/v2/query", headers=headers, params=params)
    assert response.status_code == 400
    assert response.headers["iothub-errorcode"] == "ArgumentInvalid"
    assert response.json()["Message"].startswith("ErrorCode:ArgumentInvalid;")


def test_the_sdk_still_cannot_read_the_list(listed, hub):
    """When this fails, the SDK has learnt it: call it in the tests above instead."""
    with pytest.raises(DeserializationError):
        hub.jobs.query_scheduled_jobs("scheduleUpdateTwin", "scheduled")
