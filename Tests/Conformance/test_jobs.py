"""Scheduled twin-update jobs through the SDK: their life, their statistics, the result of each device, cancelling."""

import datetime
import subprocess
import uuid

import pytest
from azure.iot.hub.models import JobRequest

from hub import eventually
from test_registry import refused


def later(hours: float = 1) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)


@pytest.fixture
def job_id() -> str:
    return f"twinJob-{uuid.uuid4()}"


def statistics(job) -> dict:
    values = job.device_job_statistics.serialize() | (job.device_job_statistics.additional_properties or {})
    members = ["pendingCount", "runningCount", "succeededCount", "failedCount", "cancelledCount"]
    assert values["deviceCount"] == sum(values[member] for member in members), values
    return values


def test_a_job_patches_every_selected_twin(world, job_id):
    ids = world.create_devices(250, floor=3)
    world.registry.delete_device(ids[0])
    created = world.twin_job(job_id, world.condition + " AND tags.floor = 3", tags={"ring": 2}, desired={"fw": "4.1"})
    assert (created.job_id, created.type, created.status) == (job_id, "scheduleUpdateTwin", "queued")

    job = world.finished(job_id)
    assert job.status == "completed"
    assert job.query_condition == world.condition + " AND tags.floor = 3"
    assert job.max_execution_time_in_seconds == 300
    assert job.created_time <= job.start_time <= job.end_time
    assert job.update_twin.tags == {"ring": 2}
    assert job.update_twin.properties.desired == {"fw": "4.1"}
    assert statistics(job) == {
        "deviceCount": 249, "succeededCount": 249, "failedCount": 0, "runningCount": 0, "pendingCount": 0,
        "cancelledCount": 0,
    }

    for name in (ids[1], ids[125], ids[249]):
        twin = world.registry.get_twin(name)
        assert twin.tags == {"world": world.name, "floor": 3, "ring": 2}
        assert twin.properties.desired["fw"] == "4.1"
        assert twin.properties.desired["$version"] == 2, "patched once, not twice"
    patched = f"SELECT COUNT() AS n FROM devices WHERE {world.condition} AND properties.desired.fw = '4.1' AND tags.ring = 2"
    assert world.query(patched)[0]["n"] == 249


def test_per_device_results(world, job_id):
    ids = world.create_devices(12)
    world.twin_job(job_id, tags={"done": True})
    world.finished(job_id)
    results = world.results(job_id, page=5)
    assert sorted(result["deviceId"] for result in results) == ids
    for result in results:
        assert result["jobId"] == job_id
        assert result["jobType"] == "scheduleUpdateTwin"
        assert result["status"] == "completed"
        assert result["outcome"] == {}
        assert "error" not in result
        assert None not in result.values()
    selected = world.query(
        f"SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{job_id}' AND devices.jobs.status = 'completed'"
        f" AND devices.jobs.deviceId = '{ids[3]}'"
    )
    assert [result["deviceId"] for result in selected] == [ids[3]]
    failed = f"SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{job_id}' AND devices.jobs.status = 'failed'"
    assert world.query(failed) == []


def test_the_job_of_the_tutorial(world, job_id):
    """`desired` at the top level of the patch, a start time of now, one device by name."""
    [name] = world.create_devices(1)
    body = {
        "jobId": job_id, "type": "scheduleTwinUpdate",
        "updateTwin": {"etag": "*", "desired": {"building": "43", "floor": 3}},
        "queryCondition": f"deviceId IN ['{name}']",
        "startTime": datetime.datetime.now(datetime.timezone.utc).isoformat(), "maxExecutionTimeInSeconds": 3600,
    }
    response = world.hub.request("PUT", f"/jobs/v2/{job_id}", json=body)
    assert response.status_code == 200, response.text
    assert response.json() == {"jobId": job_id, "type": "scheduleUpdateTwin", "status": "queued"}
    assert world.finished(job_id).status == "completed"
    desired = world.registry.get_twin(name).properties.desired
    assert (desired["building"], desired["floor"]) == ("43", 3)


def test_no_device_is_a_completed_job(world, job_id):
    world.twin_job(job_id, tags={"a": 1})
    job = world.finished(job_id)
    assert job.status == "completed"
    assert statistics(job)["deviceCount"] == 0


def test_one_device_may_fail(world, job_id):
    """An etag that one twin no longer has fails that device; the job is still completed."""
    ids = world.create_devices(2)
    world.registry.update_twin(ids[1], world.registry.get_twin(ids[1]))
    world.twin_job(job_id, etag=world.registry.get_twin(ids[0]).etag, tags={"a": 1})
    job = world.finished(job_id)
    assert job.status == "completed"
    assert (statistics(job)["succeededCount"], statistics(job)["failedCount"]) == (1, 1)
    results = {result["deviceId"]: result for result in world.results(job_id)}
    assert results[ids[0]]["status"] == "completed"
    assert results[ids[1]]["status"] == "failed"
    assert results[ids[1]]["error"]["code"] == "PreconditionFailed"
    assert results[ids[1]]["error"]["description"]
    assert world.registry.get_twin(ids[1]).tags == {"world": world.name}


def test_the_same_request_again_is_the_same_job(world, job_id):
    [name] = world.create_devices(1)
    start = later()
    world.twin_job(job_id, start=start, tags={"a": 1})
    assert world.twin_job(job_id, start=start, tags={"a": 1}).job_id == job_id
    response = refused(409, world.twin_job, job_id, start=start, tags={"a": 2})
    assert response.headers["iothub-errorcode"] == "JobAlreadyExists"
    world.jobs.cancel_scheduled_job(job_id)
    assert world.registry.get_twin(name).tags == {"world": world.name}


def test_scheduled_starts_at_its_time(world, job_id):
    world.create_devices(3)
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    assert world.twin_job(job_id, start=start, tags={"a": 1}).status == "queued"
    assert world.jobs.get_scheduled_job(job_id).status == "scheduled"
    job = world.finished(job_id)
    assert job.status == "completed"
    assert job.end_time >= start


def test_cancel_a_scheduled_job(world, job_id):
    ids = world.create_devices(3)
    world.twin_job(job_id, start=later(), tags={"a": 1})
    assert world.jobs.get_scheduled_job(job_id).status == "scheduled"
    assert world.jobs.cancel_scheduled_job(job_id).status == "cancelled"
    job = world.finished(job_id)
    assert job.status == "cancelled"
    assert statistics(job)["deviceCount"] == 0
    assert world.results(job_id) == []
    assert world.registry.get_twin(ids[0]).tags == {"world": world.name}


class LockedTwins:
    """Holds the rows of a world's twins in PostgreSQL, so that a job that patches them stays running."""

    def __init__(self, world):
        self.psql = subprocess.Popen(
            ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--set", "ON_ERROR_STOP=1", world.hub.database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.prefix = world.name + "-"

    def __enter__(self):
        # In the order in which a job takes them, so that the two cannot wait for each other.
        self.psql.stdin.write(
            "BEGIN;\n"
            "SELECT 'held' FROM (SELECT count(*) FROM (SELECT FROM twins"
            f" WHERE starts_with(device_id, '{self.prefix}') ORDER BY device_id FOR UPDATE) AS locked) AS counted;\n"
        )
        self.psql.stdin.flush()
        assert self.psql.stdout.readline().strip() == "held"
        return self

    def __exit__(self, *_):
        self.psql.communicate("ROLLBACK;\n", timeout=30)


def test_cancel_a_running_job(world, job_id):
    """The first complaint of the compatible service's users: a running job can be stopped, and every device of it
    is accounted for afterwards. What the worker has begun with waits for the held twins; the rest is never begun."""
    count = 1200
    world.create_devices(count)
    with LockedTwins(world):
        world.twin_job(job_id, tags={"done": True})
        running = eventually(
            lambda: (job := world.jobs.get_scheduled_job(job_id)).status == "running"
            and statistics(job)["deviceCount"] == count
            and job
        )
        assert statistics(running)["succeededCount"] < count
        assert world.jobs.cancel_scheduled_job(job_id).status == "cancelled"
        assert world.jobs.get_scheduled_job(job_id).status == "cancelled"
    job = world.finished(job_id)
    assert job.status == "cancelled"
    final = statistics(job)
    assert final["deviceCount"] == count
    assert final["pendingCount"] == final["runningCount"] == 0
    assert final["cancelledCount"] > 0

    results = world.results(job_id)
    by_status = {status: {r["deviceId"] for r in results if r["status"] == status} for status in ("completed", "canceled")}
    assert len(results) == count
    assert len(by_status["completed"]) == final["succeededCount"]
    assert len(by_status["canceled"]) == final["cancelledCount"]
    patched = {item["deviceId"] for item in world.query(f"SELECT * FROM devices WHERE {world.condition} AND tags.done = true")}
    assert patched == by_status["completed"], "what is reported is what happened"


def test_an_ended_job_cannot_be_cancelled(world, job_id):
    world.twin_job(job_id, tags={"a": 1})
    world.finished(job_id)
    response = refused(405, world.jobs.cancel_scheduled_job, job_id)
    assert response.headers["iothub-errorcode"] == "OperationNotAllowedInCurrentState"
    assert world.jobs.get_scheduled_job(job_id).status == "completed"


def test_unknown_jobs(world, job_id):
    for call in (world.jobs.get_scheduled_job, world.jobs.cancel_scheduled_job):
        assert refused(404, call, job_id).headers["iothub-errorcode"] == "JobNotFound"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"query_condition": "deviceId IN ['MyDevice1"}, 400),
        ({"query_condition": "\"deviceId IN ['MyDevice1']"}, 400),
        ({"query_condition": ""}, 400),
        ({"query_condition": "tags.a = 1 " + "AND tags.a = 1 " * 1000}, 400),
        ({"type": "firmwareUpdate"}, 400),
        ({"max_execution_time_in_seconds": 0}, 400),
        ({"max_execution_time_in_seconds": -1}, 400),
        ({"job_id": "another"}, 400),
        ({"update_twin": None}, 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_requests_make_no_job(world, job_id, change, status):
    request = {
        "job_id": job_id, "type": "scheduleUpdateTwin", "query_condition": "*", "update_twin": {"tags": {"a": 1}},
        "max_execution_time_in_seconds": 60, "start_time": later(), **change,
    }
    refused(status, world.jobs.create_scheduled_job, job_id, JobRequest(**request))
    refused(404, world.jobs.get_scheduled_job, job_id)
