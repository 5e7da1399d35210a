"""Jobs of both types, some of them running at every moment, until the faults are over.

One job in nine is cancelled under way and one in nine has a short time to live, so that the races of an end against
results happen under faults too.
"""

import random
import threading
import time
from dataclasses import dataclass

from hub import FINAL, Hub, Refused, Unavailable

RUNNING_OF_A_KIND = 2
# Far beyond a run: a job that ends by it was stuck.
LONG_SECONDS = 3000
SHORT_SECONDS = 4
# Conditions that select devices which are never connected: a method job on them would wait for ever.
TWINS_TOO = {"*", "tags.kind = 'twin'"}


@dataclass
class Job:
    job_id: str
    kind: str  # method or twin
    devices: int  # how many the condition selects
    fate: str  # run, cancel or expire
    condition: str
    state: str = "new"
    is_cancelled: bool = False
    cancelled_at: float = 0.0

    def body(self) -> dict:
        body = {
            "queryCondition": self.condition,
            "maxExecutionTimeInSeconds": SHORT_SECONDS if self.fate == "expire" else LONG_SECONDS,
        }
        if self.kind == "method":
            return body | {
                "type": "scheduleDeviceMethod",
                "cloudToDeviceMethod": {
                    "methodName": self.job_id, "payload": {"job": self.job_id}, "responseTimeoutInSeconds": 8,
                },
            }
        patch = {"etag": "*", "tags": {"last": self.job_id}, "properties": {"desired": {"job": self.job_id}}}
        return body | {"type": "scheduleUpdateTwin", "updateTwin": patch}


class Load(threading.Thread):
    def __init__(self, hub: Hub, sizes: dict[str, int], generator: random.Random):
        """`sizes`: how many devices each condition selects."""
        super().__init__(daemon=True)
        self.hub, self.sizes, self.generator = hub, sizes, generator
        self.jobs: list[Job] = []
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        while not self.is_over.wait(0.25):
            try:
                self._look()
            except Unavailable:
                continue
            except Refused as error:
                self.errors.append(str(error))

    def _look(self) -> None:
        for job in self.live():
            self._update(job)
        for kind in ("method", "twin"):
            if sum(job.kind == kind for job in self.live()) < RUNNING_OF_A_KIND and not self.is_over.is_set():
                self._start(kind)

    def live(self) -> list[Job]:
        with self.lock:
            return [job for job in self.jobs if job.state not in FINAL]

    def _start(self, kind: str) -> None:
        conditions = sorted(text for text in self.sizes if kind == "twin" or text not in TWINS_TOO)
        condition = self.generator.choice(conditions)
        fate = self.generator.choice(["run"] * 7 + ["cancel", "expire"])
        job = Job(f"{kind}-{len(self.jobs)}", kind, self.sizes[condition], fate, condition)
        with self.lock:
            self.jobs.append(job)
        self.hub.put_job(job.job_id, job.body())
        job.state = "accepted"

    def _update(self, job: Job) -> None:
        if job.state == "new":  # its PUT got no answer in time: the same PUT again is the same job
            self.hub.put_job(job.job_id, job.body())
            job.state = "accepted"
        shown = self.hub.request("GET", f"/jobs/v2/{job.job_id}")
        statistics = shown.get("deviceJobStatistics") or {}
        has_begun = statistics.get("succeededCount", 0) > 0
        if job.fate == "cancel" and not job.is_cancelled and has_begun and shown["status"] == "running":
            self._cancel(job)
        elif shown["status"] in FINAL and shown.get("endTime"):
            job.state = shown["status"]

    def _cancel(self, job: Job) -> None:
        try:
            self.hub.cancel(job.job_id)
        except Refused:
            return  # it ended meanwhile
        job.is_cancelled, job.cancelled_at = True, time.monotonic()

    def stop(self) -> None:
        """No new jobs; those that run go on."""
        self.is_over.set()
        self.join()

    def settle(self, within: float) -> list[Job]:
        """Waits for the end of every job; returns those that did not end."""
        deadline = time.monotonic() + within
        while self.live() and time.monotonic() < deadline:
            try:
                for job in self.live():
                    self._update(job)
            except Unavailable:
                pass
            except Refused as error:
                self.errors.append(str(error))
            time.sleep(0.2)
        return self.live()
