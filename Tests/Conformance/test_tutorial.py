"""The tutorial that this project started from, as it is written: two programs of their own, one device, two jobs."""

import json
import subprocess
import sys
from pathlib import Path

from device import connection_string
from hub import eventually

PROGRAMS = Path(__file__).parent / "tutorial"
# What the device's process ends with after its answer.
CRASHED = 70


def test_the_tutorial(world, start):
    [name] = world.create_devices(1)
    key = world.key(name)
    device = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "lock_device.py"), connection_string(name, key), str(world.hub.authority)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    try:
        assert device.stdout.readline() == "waiting\n"
        service = subprocess.run(
            [sys.executable, str(PROGRAMS / "schedule_jobs.py"), world.hub.connection_string, name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=60, check=True,
        )
        assert device.communicate(timeout=30) == ("locked\n", None)
        assert device.returncode == CRASHED
    finally:
        device.kill()
        device.wait()

    method, twin = (json.loads(line) for line in service.stdout.splitlines())
    assert (method["type"], method["status"]) == ("scheduleDeviceMethod", "completed")
    assert (twin["type"], twin["status"]) == ("scheduleUpdateTwin", "completed")
    for job in (method, twin):
        counts = job["deviceJobStatistics"]
        assert (counts["deviceCount"], counts["succeededCount"], counts["failedCount"]) == (1, 1, 0)
        assert job["queryCondition"] == f"deviceId IN ['{name}']"
    [answer] = world.results(method["jobId"])
    assert answer["outcome"] == {"deviceMethodResponse": {"status": 200, "payload": None}}

    desired = world.registry.get_twin(name).properties.desired
    assert (desired["building"], desired["floor"], desired["$version"]) == ("43", 3, 2)
    eventually(lambda: world.registry.get_twin(name).connection_state == "Disconnected")
    seen = start(name, key=key).connect().client.get_twin()["desired"]
    assert seen == {"building": "43", "floor": 3, "$version": 2}
