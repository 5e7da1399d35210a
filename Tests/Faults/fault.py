"""What a fault is: a name, what it is expected to do and within which bound, and how it is injected."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import Cluster
from processes import Process

TAKEOVER = "its work runs elsewhere within 10 s"
SECONDS = "everything goes on once it is over; nothing lost or repeated"


class Fault:
    """`inject` does all of it, from the first disturbance to the last repair, and returns what it did in words.

    A fault draws whatever it decides from its own generator, so a seed decides what happens; when it happens is up to
    the machine to some tenths of a second.
    """

    name = ""
    effect = ""
    bound = SECONDS
    # Tests of this fault alone, with every step in hand.
    also = ""

    def inject(self, cluster: Cluster, targets: "Targets", draw: random.Random) -> str:
        raise NotImplementedError


class Busy(Exception):
    """What the fault would strike is struck by another already."""


class Targets:
    """Who is struck at the moment: two faults do not share a target, as that would be a third fault."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def take(self, *names: str) -> Iterator[None]:
        with self._lock:
            if self._taken & set(names):
                raise Busy(", ".join(sorted(self._taken & set(names))))
            self._taken |= set(names)
        try:
            yield
        finally:
            with self._lock:
                self._taken -= set(names)

    @contextmanager
    def disturb(self, *names: str) -> Iterator[None]:
        """As `take`; and the time of takeovers is counted from the end of it, because nobody can work meanwhile."""
        with self.take(*names), self.cluster.watch.disturbed():
            yield

    @contextmanager
    def process(self, role: str, draw: random.Random, only: Process | None = None) -> Iterator[Process]:
        """A living process of a role that no other fault has struck."""
        candidates = [only] if only else self.cluster.all(role)
        with self._lock:
            free = [
                process for process in candidates
                if process.is_alive and not process.is_stopped and process.name not in self._taken
            ]
            if not free:
                raise Busy(role)
            chosen = draw.choice(free)
            self._taken.add(chosen.name)
        try:
            yield chosen
        finally:
            with self._lock:
                self._taken.discard(chosen.name)
