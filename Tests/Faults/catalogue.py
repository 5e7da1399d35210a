"""All faults by name, and the drawing of a run's plan from a seed."""

import random
from dataclasses import dataclass

import clock_faults
import network_faults
import process_faults
import store_faults
from fault import Fault

CATALOGUE: dict[str, type[Fault]] = {
    fault.name: fault for fault in process_faults.FAULTS + store_faults.FAULTS + network_faults.FAULTS + clock_faults.FAULTS
}


@dataclass
class Planned:
    at: float  # seconds after the load began
    fault: Fault
    seed: int


def plan(seed: int, seconds: float, interval: float, only: list[str] | None = None) -> list[Planned]:
    """Faults at random times, `interval` apart on average; in a row of seeds each fault comes up about as often.

    The catalogue is shuffled and dealt, and dealt anew when it is used up, so that a run draws no fault thrice and
    another never. Consecutive seeds go on where the one before ended.
    """
    names = sorted(only or CATALOGUE)
    count = max(1, round(seconds / interval))
    first = seed * count
    drawn = []
    for place in range(first, first + count):
        deal, index = divmod(place, len(names))
        shuffled = names[:]
        random.Random(f"deal {deal}").shuffle(shuffled)
        drawn.append(shuffled[index])
    generator = random.Random(seed)
    times = sorted(generator.uniform(1.0, seconds) for _ in drawn)
    generator.shuffle(drawn)
    return [Planned(at, CATALOGUE[name](), generator.getrandbits(32)) for at, name in zip(times, drawn)]


def markdown() -> str:
    """The catalogue as a table, for Tests/README.md."""
    lines = ["| fault | expected effect | bound | test: `deploy/test faults` … |", "|---|---|---|---|"]
    for name, fault in CATALOGUE.items():
        lines.append(f"| `{name}` | {fault.effect} | {fault.bound} | `--only {name}`{fault.also} |")
    return "\n".join(lines)
