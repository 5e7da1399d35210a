"""What is measured while a run goes on: drift, the time of takeovers, and memory.

Drift is looked for in one snapshot each (I1 holds at every moment). A takeover begins when a process died or was
stopped, or when the stores answer again and a leader leads if that is later, and ends when all that it held is elsewhere.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from processes import Process
from queries import DRIFT, HELD_BATCHES, LEADER, TAKEN_OVER
from stores import Postgres, Redis


class Takeover:
    """Work that a process held when it died."""

    def __init__(self, what: str, begun: float):
        self.what, self.begun, self.seconds = what, begun, None

    def is_done(self, connection: psycopg.Connection) -> bool:
        raise NotImplementedError


class WorkTakeover(Takeover):
    def __init__(self, what: str, begun: float, held: list[tuple]):
        super().__init__(what, begun)
        self.held = held

    def is_done(self, connection) -> bool:
        jobs, batches, fences = (list(column) for column in zip(*self.held))
        return connection.execute(TAKEN_OVER, (jobs, batches, fences)).fetchone()[0] == 0


class LeaderTakeover(Takeover):
    def __init__(self, what: str, begun: float, process: Process, term: int):
        super().__init__(what, begun)
        self.process, self.life, self.term = process, process.life, term

    def is_done(self, connection) -> bool:
        """Another one leads, or the one that was stopped goes on in time."""
        _, term, is_valid = connection.execute(LEADER).fetchone()
        is_back = self.process.is_alive and self.process.life == self.life and not self.process.is_stopped
        return term > self.term or is_valid and is_back


class Watch(threading.Thread):
    INTERVAL = 0.2
    DRIFT_INTERVAL = 1.0

    def __init__(self, postgres: Postgres, redis: Redis, processes: list[Process]):
        super().__init__(daemon=True)
        self.postgres, self.redis, self.processes = postgres, redis, processes
        self.is_over = threading.Event()
        self.disturbed_until = 0.0  # when the stores and the ways to them were last known to be bad
        self.takeovers: list[Takeover] = []
        self.drift: list[tuple] = []
        self.snapshots = 0
        self.memory: dict[str, int] = {}
        self.links = []
        self._disturbances = 0
        self._lock = threading.Lock()
        self._next_drift = 0.0

    # What faults tell

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        with self._lock:
            self._disturbances += 1
        try:
            yield
        finally:
            with self._lock:
                self._disturbances -= 1
                self.disturbed_until = time.monotonic()

    def worker_is_gone(self, process: Process, worker: str | None) -> None:
        begun = time.monotonic()
        held = self._ask(HELD_BATCHES, (worker,)) if worker else []
        if held:
            self.takeovers.append(WorkTakeover(f"{process.life_name}: {len(held)} batches", begun, held))

    def leader_is_gone(self, process: Process, term: int) -> None:
        self.takeovers.append(LeaderTakeover(f"{process.life_name}: leader", time.monotonic(), process, term))

    def _ask(self, text: str, parameters: tuple) -> list[tuple]:
        try:
            return self.postgres.query(text, parameters)
        except psycopg.Error:
            return []  # PostgreSQL is down too: this death is counted by nobody

    # The thread

    def run(self) -> None:
        while not self.is_over.wait(self.INTERVAL):
            self._measure_memory()
            if not self._can_take_over():
                self.disturbed_until = time.monotonic()
            try:
                with self.postgres.connect() as connection:
                    self._look(connection)
            except psycopg.Error:
                self.disturbed_until = time.monotonic()

    def _can_take_over(self) -> bool:
        """Redis answers, and of each role that takes over there is one that can."""
        ready = {process.name.split("-")[0] for process in self.processes if process.is_alive and not process.is_stopped}
        return (
            not self._disturbances and {"worker", "coordinator"} <= ready
            and not any(link.is_troubled for link in self.links) and self.redis.is_up()
        )

    def _look(self, connection: psycopg.Connection) -> None:
        now = time.monotonic()
        for takeover in sorted(self.takeovers, key=lambda each: isinstance(each, WorkTakeover)):
            if takeover.seconds is None and takeover.is_done(connection):
                takeover.seconds = max(0.0, now - max(takeover.begun, self.disturbed_until))
                if isinstance(takeover, LeaderTakeover):
                    self.disturbed_until = now  # without a leader nobody sweeps; its takeover has a bound of its own
        if now > self._next_drift:
            self.drift += self._count_anew(connection)
            self.snapshots += 1
            self._next_drift = time.monotonic() + self.DRIFT_INTERVAL

    def _count_anew(self, connection: psycopg.Connection) -> list[tuple]:
        # A statement is planned before it takes its snapshot, and a partition that is attached in between is not in the
        # plan. So the snapshot comes first.
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1 FROM jobs LIMIT 1")
        rows = connection.execute(DRIFT).fetchall()
        connection.execute("COMMIT")
        return rows

    def _measure_memory(self) -> None:
        for process in self.processes:
            self.memory[process.name] = max(self.memory.get(process.name, 0), process.resident_bytes())

    def finish(self) -> None:
        self.is_over.set()
        self.join()

    @property
    def slowest(self) -> float:
        return max((takeover.seconds or 0.0 for takeover in self.takeovers), default=0.0)
