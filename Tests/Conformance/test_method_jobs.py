"""Scheduled direct-method jobs through both SDKs: every device called once, its answer kept, absent ones waited for."""

import uuid

import pytest

from hub import eventually
from test_jobs import statistics


@pytest.fixture
def job_id() -> str:
    return f"methodJob-{uuid.uuid4()}"


def by_device(world, job_id) -> dict:
    results = world.results(job_id)
    found = {result["deviceId"]: result for result in results}
    assert len(found) == len(results)
    return found


def test_a_device_that_is_away_is_waited_for(world, start, job_id):
    """Three devices, one of them offline: it is pending until it connects, then called like the others."""
    ids = world.create_devices(3)

    def answer(request):
        return 200, {"locked": request.payload["door"]}

    here = [start(name, answer).serve_methods() for name in ids[:2]]
    created = world.method_job(job_id, "lockDoor", payload={"door": 5}, response=15, seconds=3600)
    assert (created.job_id, created.type, created.status) == (job_id, "scheduleDeviceMethod", "queued")

    eventually(lambda: statistics(world.jobs.get_scheduled_job(job_id))["succeededCount"] == 2)
    # A device is running while its batch is worked on, and pending once it is known to be away.
    eventually(lambda: statistics(world.jobs.get_scheduled_job(job_id))["pendingCount"] == 1)
    assert world.jobs.get_scheduled_job(job_id).status == "running"
    waiting = by_device(world, job_id)[ids[2]]
    assert (waiting["status"], waiting["outcome"]) == ("pending", {})
    assert "error" not in waiting

    late = start(ids[2], answer).serve_methods()
    job = world.finished(job_id)
    assert job.status == "completed"
    assert job.cloud_to_device_method.method_name == "lockDoor"
    assert statistics(job) == {
        "deviceCount": 3, "succeededCount": 3, "failedCount": 0, "runningCount": 0, "pendingCount": 0,
        "cancelledCount": 0,
    }
    results = by_device(world, job_id)
    assert sorted(results) == ids
    for result in results.values():
        assert (result["jobId"], result["jobType"]) == (job_id, "scheduleDeviceMethod")
        assert result["status"] == "completed"
        assert result["outcome"] == {"deviceMethodResponse": {"status": 200, "payload": {"locked": 5}}}
        assert "error" not in result
        assert None not in result.values()
        assert result["createdDateTimeUtc"] <= result["lastUpdatedDateTimeUtc"] < result["endTimeUtc"]
    for device in [*here, late]:
        assert device.methods.so_far() == [("lockDoor", {"door": 5})], "called exactly once"


def test_any_answer_is_a_success(world, start, job_id):
    """What the answer means is between the device and who asked."""
    ids = world.create_devices(3)
    answers = {ids[0]: (200, None), ids[1]: (500, {"why": "jammed"}), ids[2]: (404, "no such door")}
    for name in ids:
        start(name, lambda request, name=name: answers[name]).serve_methods()
    world.method_job(job_id, "lockDoor")
    job = world.finished(job_id)
    assert (job.status, statistics(job)["succeededCount"], statistics(job)["failedCount"]) == ("completed", 3, 0)
    for name, result in by_device(world, job_id).items():
        status, payload = answers[name]
        assert result["outcome"] == {"deviceMethodResponse": {"status": status, "payload": payload}}
    failed = f"SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{job_id}' AND devices.jobs.status = 'failed'"
    assert world.query(failed) == []


def test_the_deadline(world, start, job_id):
    """A device that never came fails alone; the job is completed, and not before its deadline."""
    ids = world.create_devices(2)
    start(ids[0]).serve_methods()
    world.method_job(job_id, "lockDoor", seconds=10)
    job = world.finished(job_id)
    assert job.status == "completed"
    assert (statistics(job)["succeededCount"], statistics(job)["failedCount"]) == (1, 1)
    assert (job.end_time - job.start_time).total_seconds() >= 10
    results = by_device(world, job_id)
    assert results[ids[0]]["status"] == "completed"
    late = results[ids[1]]
    assert (late["status"], late["outcome"]) == ("failed", {})
    assert late["error"]["code"] == "JobRunPreconditionFailed"
    assert late["error"]["description"]
    device = start(ids[1]).serve_methods()
    assert world.invoke(ids[1], "another").status == 200
    assert device.methods.so_far() == [("another", "")], "what has failed is not done afterwards"


def test_a_device_that_does_not_answer(world, start, job_id):
    [name] = world.create_devices(1)
    device = start(name, lambda request: None).serve_methods()
    world.method_job(job_id, "lockDoor", response=5)
    job = world.finished(job_id)
    assert (job.status, statistics(job)["failedCount"]) == ("completed", 1)
    result = by_device(world, job_id)[name]
    assert (result["status"], result["outcome"], result["error"]["code"]) == ("failed", {}, "GatewayTimeout")
    assert result["error"]["description"]
    assert len(device.methods.after(1)) == 1


def test_cancel_while_devices_are_waited_for(world, start, job_id):
    """What was answered stays answered; who was waited for is not called when it comes."""
    ids = world.create_devices(2)
    start(ids[0]).serve_methods()
    world.method_job(job_id, "lockDoor")

    def waiting() -> bool:
        values = statistics(world.jobs.get_scheduled_job(job_id))
        return values["succeededCount"] == 1 and values["pendingCount"] == 1

    eventually(waiting)
    assert world.jobs.cancel_scheduled_job(job_id).status == "cancelled"
    job = world.finished(job_id)
    assert job.status == "cancelled"
    assert (statistics(job)["succeededCount"], statistics(job)["cancelledCount"]) == (1, 1)
    results = by_device(world, job_id)
    assert [results[name]["status"] for name in ids] == ["completed", "canceled"]
    device = start(ids[1]).serve_methods()
    assert world.invoke(ids[1], "another").status == 200
    assert device.methods.so_far() == [("another", "")]


def test_large_answers_are_kept(world, start, job_id):
    [name] = world.create_devices(1)
    largest = "x" * (128 * 1024 - 2)
    device = start(name, lambda request: (200, largest)).serve_methods()
    world.method_job(job_id, "echo", payload="x" * 1000)
    assert world.finished(job_id).status == "completed"
    assert device.methods.so_far() == [("echo", "x" * 1000)]
    assert by_device(world, job_id)[name]["outcome"]["deviceMethodResponse"]["payload"] == largest
