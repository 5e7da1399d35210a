"""The tutorial's back end: schedules a direct-method job and a twin-update job, both for now, and polls each until it ends.

Prints each job's last state as a line of JSON. REQUESTS_CA_BUNDLE names the authority.

usage: schedule_jobs.py CONNECTION-STRING DEVICE-ID
"""

import datetime
import json
import sys
import time
import uuid

from azure.iot.hub import IoTHubJobManager
from azure.iot.hub.models import CloudToDeviceMethod, JobRequest, Twin

MAX_EXECUTION_SECONDS = 3600
POLL_SECONDS = 5


def monitor(manager: IoTHubJobManager, job_id: str):
    while True:
        job = manager.get_scheduled_job(job_id)
        if job.status in ("completed", "failed", "cancelled"):
            print(json.dumps(job.serialize()), flush=True)
            return
        time.sleep(POLL_SECONDS)


def main() -> None:
    _, connection, device_id = sys.argv
    manager = IoTHubJobManager.from_connection_string(connection)
    condition = f"deviceId IN ['{device_id}']"
    now = datetime.datetime.now(datetime.timezone.utc)

    method_job, twin_job = str(uuid.uuid4()), str(uuid.uuid4())
    method = CloudToDeviceMethod(method_name="lockDoor", payload=None, response_timeout_in_seconds=15)
    manager.create_scheduled_job(
        method_job,
        JobRequest(
            job_id=method_job, type="scheduleDeviceMethod", cloud_to_device_method=method, query_condition=condition,
            start_time=now, max_execution_time_in_seconds=MAX_EXECUTION_SECONDS,
        ),
    )
    # The tutorial's patch has `desired` at its top level, which the SDK's model only sends as something additional.
    Twin.enable_additional_properties_sending()
    patch = Twin(etag="*")
    patch.additional_properties = {"desired": {"building": "43", "floor": 3}}
    manager.create_scheduled_job(
        twin_job,
        JobRequest(
            job_id=twin_job, type="scheduleUpdateTwin", update_twin=patch, query_condition=condition,
            start_time=now, max_execution_time_in_seconds=MAX_EXECUTION_SECONDS,
        ),
    )
    monitor(manager, method_job)
    monitor(manager, twin_job)


main()
