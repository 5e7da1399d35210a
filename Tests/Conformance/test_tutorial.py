"""The tutorial that this project started from: two programs of their own, one device, two jobs.

The programs know the SDKs, their connection strings and the authority, and nothing of Muster. Outside, the tests hold what
they print against what the hub says and what PostgreSQL has."""

import json
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from device import connection_string
from hub import eventually

PROGRAMS = Path(__file__).parent / "tutorial"
# For programs that start, connect and poll every five seconds, on a machine that has other things to do.
WAIT = 60
# What the published device's process ends with after its answer.
CRASHED = 70


class DeviceProgram:
    """A device's process, whose lines are kept as they come."""

    def __init__(self, program: str, connection: str, authority: Path):
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / program), connection, str(authority)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self) -> str:
        """The next line; queue.Empty when none comes."""
        line = self.lines.get(timeout=WAIT)
        assert line is not None, "the program has ended"
        return line

    def rest(self) -> list[str]:
        """What it printed until its end."""
        return list(iter(lambda: self.lines.get(timeout=WAIT), None))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WAIT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def run_device(world, name):
    """Starts one of the tutorial's device programs."""
    started = []

    def run(program: str) -> DeviceProgram:
        device = DeviceProgram(program, connection_string(name, world.key(name)), world.hub.authority)
        started.append(device)
        return device

    yield run
    for device in started:
        device.close()


@pytest.fixture
def name(world) -> str:
    [name] = world.create_devices(1)
    return name


def run_jobs(world, name: str) -> tuple[dict, dict]:
    """The method job and the twin job, as the back end saw them end."""
    service = subprocess.run(
        [sys.executable, str(PROGRAMS / "schedule_jobs.py"), world.hub.connection_string, name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=WAIT, check=True,
    )
    method, twin = (json.loads(line) for line in service.stdout.splitlines())
    return method, twin


def stored(world, job_id: str) -> dict:
    """The job in PostgreSQL: its state, its counters and its work items."""
    statement = f"""
        SELECT json_build_object(
            'state', j.state, 'type', j.type, 'action', j.action, 'ended', j.ended_at IS NOT NULL,
            'counters', (SELECT json_build_array(sum(succeeded), sum(failed), sum(cancelled))
                         FROM job_counters WHERE job = j.job),
            'items', (SELECT json_agg(json_build_object(
                          'device', device_id, 'state', state, 'attempt', attempt, 'error', error_code,
                          'response', response) ORDER BY seq)
                      FROM work_items WHERE slot = j.slot AND job = j.job))
        FROM jobs j WHERE job_id = '{job_id}'"""
    answer = subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement, world.hub.database],
        check=True, capture_output=True, text=True, timeout=WAIT,
    )
    return json.loads(answer.stdout)


def check_jobs(world, name: str, method: dict, twin: dict) -> None:
    """What the back end was told, what the hub answers to queries, and what is stored, agree."""
    answers = {method["jobId"]: {"status": 200, "payload": None}, twin["jobId"]: None}
    for job, kind in ((method, "scheduleDeviceMethod"), (twin, "scheduleUpdateTwin")):
        assert (job["type"], job["status"]) == (kind, "completed")
        assert job["queryCondition"] == f"deviceId IN ['{name}']"
        counts = job["deviceJobStatistics"]
        assert (counts["deviceCount"], counts["succeededCount"], counts["failedCount"]) == (1, 1, 0)

        [result] = world.results(job["jobId"])
        assert (result["deviceId"], result["jobType"], result["status"]) == (name, kind, "completed")

        kept = stored(world, job["jobId"])
        assert (kept["type"], kept["state"], kept["ended"]) == (kind, "completed", True)
        assert kept["counters"] == [1, 0, 0]
        [item] = kept["items"]
        answer = answers[job["jobId"]]
        assert item == {"device": name, "state": "succeeded", "attempt": 1, "error": None, "response": answer}
        assert result["outcome"].get("deviceMethodResponse") == answer

    desired = world.registry.get_twin(name).properties.desired
    assert (desired["building"], desired["floor"], desired["$version"]) == ("43", 3, 2)


def test_the_tutorial(world, run_device, name):
    """The device locks its door once and hears of its building and its floor; both jobs end completed."""
    device = run_device("lock_device.py")
    assert device.next() == "waiting"
    method, twin = run_jobs(world, name)
    # The jobs start together, so that either may come first.
    assert sorted(device.next() for _ in range(3)) == ["building = 43", "floor = 3", "locked"]
    check_jobs(world, name, method, twin)
    assert device.interrupt() == 0
    assert "locked" not in device.rest(), "called exactly once"


def test_the_tutorial_as_published(world, run_device, name):
    """The device's process dies after its answer: the answer counts, and what the device missed waits in its twin."""
    device = run_device("lock_device_as_published.py")
    assert device.next() == "waiting"
    method, twin = run_jobs(world, name)
    assert device.next() == "locked"
    assert device.process.wait(WAIT) == CRASHED
    check_jobs(world, name, method, twin)
    eventually(lambda: world.registry.get_twin(name).connection_state == "Disconnected")

    again = run_device("lock_device.py")
    assert sorted(again.next() for _ in range(2)) == ["building = 43", "floor = 3"]
    assert again.next() == "waiting"
    assert again.interrupt() == 0
    assert "locked" not in again.rest(), "the call was answered, and is not made again"
