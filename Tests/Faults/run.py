"""One run: start, load, faults, healing, the end of every job, the evidence, the verdict."""

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import invariants
import queries
from catalogue import Planned, plan
from cluster import Cluster
from fault import Busy, Targets
from invariants import Evidence, Item, Violation
from processes import eventually

# From the last repair to the end of the last job: a call's response timeout, two takeovers and a pause of reconnecting.
SETTLE_LIMIT = 120
# From the end of the last job until the last device has been told: a device waits up to 20 s before it connects again.
TOLD_LIMIT = 60
# Exit code: "the service or a store cannot be reached, is busy, or did not answer in time".
UNAVAILABLE = 5
# What each role logs once it works.
STARTED = {"listening", "listening_mqtt", "worker_started"}


@dataclass
class Result:
    seed: int
    faults: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    jobs: int = 0
    items: int = 0
    unknown: int = 0
    refused: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    folder: Path = Path()


class Run:
    def __init__(self, binary: str, folder: Path, seed: int, seconds: float, interval: float, only: list | None):
        self.seconds = seconds
        self.plan = plan(seed, seconds, interval, only)
        self.result = Result(seed, folder=folder)
        self.journal = (folder / "faults.log").open("w", buffering=1)
        self.begun = time.monotonic()
        self.cluster = Cluster(binary, folder, seed)
        self.cluster.problems = []
        self.targets = Targets(self.cluster)
        self.load = None

    def say(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self.begun:6.1f} s  {text}"
        self.journal.write(line + "\n")
        print(f"  {line}", flush=True)

    def go(self) -> Result:
        begun = time.monotonic()
        try:
            self.cluster.start()
            self.load = self.cluster.load(random.Random(self.result.seed))
            self.begun = time.monotonic()
            self.load.start()
            self._inject_all()
            self._settle()
            self._judge()
        except Exception as error:  # whatever stopped the run is its finding
            self.say(f"the run broke off: {error!r}")
            self.result.violations.append(Violation("run", repr(error)))
        finally:
            self.cluster.finish()
            self.result.seconds = time.monotonic() - begun
        return self.result

    # Faults

    def _inject_all(self) -> None:
        threads = []
        for planned in self.plan:
            time.sleep(max(0.0, self.begun + planned.at - time.monotonic()))
            threads.append(threading.Thread(target=self._inject, args=(planned,), daemon=True))
            threads[-1].start()
        time.sleep(max(0.0, self.begun + self.seconds - time.monotonic()))
        for thread in threads:
            thread.join()

    def _inject(self, planned: Planned) -> None:
        name = planned.fault.name
        begun = time.monotonic() - self.begun
        try:
            did = planned.fault.inject(self.cluster, self.targets, random.Random(planned.seed))
            self.result.faults.append(name)
            self.say(f"{name} from {begun:.1f} s: {did}")
        except Busy as error:
            self.result.skipped.append(name)
            self.say(f"{name} not injected: {error}")
        except Exception as error:  # a store that another fault took away
            self.result.skipped.append(name)
            self.say(f"{name} from {begun:.1f} s broke off: {error!r}")

    def _settle(self) -> None:
        self.cluster.heal()
        self.load.stop()
        stuck = self.load.settle(SETTLE_LIMIT)
        self.say(f"{len(self.load.jobs)} jobs, {len(stuck)} stuck")
        for job in stuck:
            explained = self.cluster.postgres.query(
                "SELECT state, count(*), sum(open) FROM work_batches b JOIN jobs USING (job) WHERE job_id = %s "
                "GROUP BY 1".replace("SELECT state", "SELECT b.state::text"), (job.job_id,))
            self.say(f"stuck: {job} {explained}")
        self.result.violations += [Violation("load", text) for text in self.load.errors]

    # Evidence

    def _judge(self) -> None:
        evidence = self._gather()
        (self.result.folder / "evidence.json").write_text(
            json.dumps({"jobs": evidence.jobs, "unknown": evidence.unknown, "drift": evidence.drift}, default=str))
        result = self.result
        result.violations += invariants.check(evidence)
        result.violations += [Violation("drain", text) for text in self.cluster.problems]
        result.violations += self._verify()
        result.violations += self._traps()
        result.jobs = len(evidence.jobs)
        result.items = sum(row[6] for row in evidence.jobs)
        result.unknown = len(evidence.unknown)
        result.slowest = self.cluster.watch.slowest
        result.refused = self._count_events("write_refused")
        for takeover in self.cluster.watch.takeovers:
            self.say(f"takeover: {takeover.what}, {takeover.seconds:.1f} s" if takeover.seconds is not None
                     else f"takeover: {takeover.what}, never")
        for counted in self.cluster.postgres.query(queries.OUTCOME_COUNTS):
            self.say(f"outcomes: {counted}")
        for counted in Counter((row[0], row[4]) for row in evidence.unknown).items():
            self.say(f"unknown: {counted}")

    def _gather(self) -> Evidence:
        cluster, query = self.cluster, self.cluster.postgres.query
        self._await_told()
        evidence = Evidence(expected={job.job_id: job for job in self.load.jobs})
        evidence.shown = {job.job_id: cluster.hub.job(job.job_id) for job in self.load.jobs}
        evidence.living_gateways = {row[0] for row in query(queries.GATEWAYS)}
        for fleet in cluster.fleets:
            evidence.devices |= fleet.account()
        cluster.orchestrator.finish()
        self._end_roles()
        cluster.watch.finish()
        evidence.drift, evidence.snapshots = cluster.watch.drift, cluster.watch.snapshots
        evidence.takeovers, evidence.memory = cluster.watch.takeovers, cluster.watch.memory
        evidence.jobs = query(queries.JOBS)
        evidence.methods = [Item(*row) for row in query(queries.ITEMS, ("scheduleDeviceMethod",))]
        evidence.twin_results = [Item(*row) for row in query(queries.ITEMS, ("scheduleUpdateTwin",))]
        evidence.versions = {row[0]: row[1] for row in query(queries.TWINS)}
        evidence.outcomes, evidence.rewritten = query(queries.OUTCOMES), query(queries.REWRITTEN)
        evidence.unknown, evidence.late = query(queries.UNKNOWN), query(queries.LATE)
        evidence.untold = query(queries.UNTOLD)[0][0]
        for worker in cluster.all("worker"):
            for life in range(1, worker.life + 1):
                evidence.workers[f"{worker.name}.{life}"] = cluster.worker_id(worker, life)
        return evidence

    def _await_told(self) -> None:
        """All takeovers measured, all notices sent, and as many sessions as devices."""
        connected = "SELECT count(*) FROM device_sessions WHERE connected"
        devices = sum(fleet.count for fleet in self.cluster.fleets)

        def told() -> bool:
            query = self.cluster.postgres.query
            return (
                query(queries.UNTOLD)[0][0] == 0 and query(connected)[0][0] >= devices
                and all(takeover.seconds is not None for takeover in self.cluster.watch.takeovers)
            )

        try:
            eventually(told, TOLD_LIMIT, "every device is told", 0.5)
        except TimeoutError as error:
            self.say(str(error))  # the checks say what is missing
        # A notice that is on its way when its mark goes, and a twin read that a device repeats after a second.
        time.sleep(3)

    def _end_roles(self) -> None:
        roles = [self.cluster.roles[name] for name in sorted(self.cluster.roles, reverse=True)]
        codes = {}

        def end(process) -> None:
            codes[process.life_name] = process.end()

        threads = [threading.Thread(target=end, args=(process,)) for process in roles]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.cluster.problems += [f"{name} ended with {code} after SIGTERM" for name, code in codes.items() if code != 0]

    def _verify(self) -> list[Violation]:
        try:
            self.cluster.muster("verify")
            return []
        except RuntimeError as error:
            return [Violation("verify", str(error)[:2000], "drift")]

    def _traps(self) -> list[Violation]:
        """A process that ended by itself, or by a signal that no fault sent."""
        found = []
        for process in self.cluster.roles.values():
            for life, code in process.exit_codes:
                number = int(life.rsplit(".", 1)[1])
                began = any(event.get("event") in STARTED for event in process.events(number))
                # A role that finds a store missing when it starts says so and leaves the rest to its orchestrator.
                if code not in process.expected_codes and (began or code != UNAVAILABLE):
                    last = process.lines(number)[-2:]
                    found.append(Violation("process", f"{life} ended by itself with {code}: {last}"))
        return found

    def _count_events(self, name: str) -> int:
        return sum(
            event.get("event") == name
            for worker in self.cluster.all("worker") for life in range(1, worker.life + 1)
            for event in worker.events(life)
        )
