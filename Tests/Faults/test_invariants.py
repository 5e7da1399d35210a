"""A check that cannot fail proves nothing: a sound world passes every check, and each way to break it is caught.

    python3 -m unittest discover Tests/Faults
"""

import copy
import unittest
from pathlib import Path
from types import SimpleNamespace

import catalogue
import invariants
from fleet import Device
from invariants import Evidence, Item
from load import Job

README = Path(__file__).parents[1] / "README.md"


def sound() -> Evidence:
    """One method job and one twin job over two devices."""
    statistics = {"succeededCount": 2, "failedCount": 0}
    return Evidence(
        expected={
            "m": Job("m", "method", 2, "run", "*"),
            "t": Job("t", "twin", 2, "run", "*"),
        },
        jobs=[
            (1, "m", "scheduleDeviceMethod", "completed", True, True, 2, 2, 0, 0, 0),
            (2, "t", "scheduleUpdateTwin", "completed", True, True, 2, 2, 0, 0, 0),
        ],
        methods=[Item("m", seq, name, "succeeded", 1, None, "200") for seq, name in enumerate("ab")],
        twin_results=[Item("t", seq, name, "succeeded", 1, None, None) for seq, name in enumerate("ab")],
        versions={"a": 2, "b": 2},
        devices={name: Device(calls={"m": [200]}, desired_version=2, connects=1) for name in "ab"},
        snapshots=3,
        outcomes=[("worker-1.1", 1, 0, "w1", 2, ""), ("worker-2.1", 2, 0, "w2", 2, "")],
        living_gateways={"g1"},
        workers={"worker-1.1": "w1", "worker-2.1": "w2"},
        takeovers=[SimpleNamespace(what="worker-1.1", seconds=7.0)],
        memory={"worker-1": 50 << 20},
        shown={"m": {"deviceJobStatistics": statistics}, "t": {"deviceJobStatistics": statistics}},
    )


def replaced(rows: list, index: int, column: int, value) -> None:
    rows[index] = rows[index][:column] + (value,) + rows[index][column + 1:]


# How the world is broken, which invariant says so, and under which column of the table.
MUTATIONS = {
    "counters drift once": (lambda e: e.drift.append(("now", "m", "running", "(2)", "(1)")), "I1", "drift"),
    "nobody looked": (lambda e: setattr(e, "snapshots", 0), "I1", "other"),
    "the API shows another count": (
        lambda e: e.shown["m"].update(deviceJobStatistics={"succeededCount": 1, "failedCount": 0}), "I1", "drift"),
    "an item is open in an ended job": (lambda e: replaced(e.jobs, 0, 8, 1), "I2", "lost"),
    "a device stands twice": (lambda e: replaced(e.jobs, 0, 7, 1), "I2", "repeated"),
    "an outcome was changed": (lambda e: e.rewritten.append(("now", "worker-1.1", 1, 0, "x", "y")), "I2", "repeated"),
    "an outcome was written twice": (lambda e: e.outcomes.append(("worker-1.1", 1, 0, "w1", 1, "")), "I2", "repeated"),
    "a zombie wrote": (lambda e: replaced(e.outcomes, 0, 3, "w2"), "I3", "other"),
    "a twin was patched twice": (lambda e: e.versions.update(a=3), "I4", "repeated"),
    "a patch is recorded and not done": (lambda e: e.versions.update(a=1), "I4", "lost"),
    "a device was called twice": (lambda e: e.devices["a"].calls.update(m=[200, 200]), "I5", "repeated"),
    "a success without a call": (lambda e: e.devices["a"].calls.clear(), "I5", "lost"),
    "a success with another answer": (lambda e: e.devices["a"].calls.update(m=[500]), "I5", "lost"),
    "a call that is recorded as not made": (
        lambda e: (setattr(e.methods[0], "state", "cancelled"), setattr(e.methods[0], "error_code", "JobCancelled")),
        "I5", "lost"),
    "a call outside of the job": (lambda e: e.devices["a"].calls.update(other=[200]), "I5", "repeated"),
    "unknown although the gateway lives": (lambda e: e.unknown.append(("m", 0, "a", ["g1"], False)), "I5", "other"),
    "unknown and never dispatched": (lambda e: e.unknown.append(("m", 0, "a", None, True)), "I5", "other"),
    "a job is gone": (lambda e: e.jobs.pop(), "I6", "lost"),
    "a job does not end": (lambda e: replaced(e.jobs, 0, 4, False), "I6", "lost"),
    "a device is missing": (lambda e: (replaced(e.jobs, 0, 6, 1), replaced(e.jobs, 0, 7, 1)), "I6", "lost"),
    "a slow takeover": (lambda e: setattr(e.takeovers[0], "seconds", 11.0), "I6", "other"),
    "a takeover that never came": (lambda e: setattr(e.takeovers[0], "seconds", None), "I6", "other"),
    "a late dispatch": (lambda e: e.late.append(("m", "dispatch", "3 s")), "I7", "other"),
    "a process grew": (lambda e: e.memory.update({"worker-1": 1 << 30}), "I9", "other"),
    "a device was not told": (lambda e: setattr(e.devices["a"], "desired_version", 1), "notices", "lost"),
    "a mark is left": (lambda e: setattr(e, "untold", 1), "notices", "lost"),
}


class InvariantTests(unittest.TestCase):
    def test_a_sound_world_passes(self):
        self.assertEqual(invariants.check(sound()), [])

    def test_each_mutation_is_caught(self):
        for name, (break_it, invariant, kind) in MUTATIONS.items():
            with self.subTest(name):
                evidence = copy.deepcopy(sound())
                break_it(evidence)
                found = {(violation.invariant, violation.kind) for violation in invariants.check(evidence)}
                self.assertIn((invariant, kind), found)

    def test_the_readme_names_each_mutation_beside_its_invariant(self):
        rows = README.read_text().splitlines()
        for name, (_, invariant, _) in MUTATIONS.items():
            if invariant.startswith("I"):
                with self.subTest(name):
                    self.assertTrue(any(row.startswith(f"| {invariant} |") and name in row for row in rows))

    def test_an_unknown_outcome_of_a_gateway_that_is_gone_is_allowed(self):
        evidence = sound()
        evidence.unknown.append(("m", 0, "a", ["gone"], False))
        self.assertEqual(invariants.check(evidence), [])


class PlanTests(unittest.TestCase):
    def test_a_seed_says_everything(self):
        first, second = (
            [(planned.at, planned.fault.name, planned.seed) for planned in catalogue.plan(7, 30, 4)] for _ in range(2)
        )
        self.assertEqual(first, second)

    def test_seeds_in_a_row_deal_every_fault(self):
        drawn = {planned.fault.name for seed in range(5) for planned in catalogue.plan(seed, 30, 4)}
        self.assertEqual(drawn, set(catalogue.CATALOGUE))

    def test_the_readme_has_the_catalogue(self):
        self.assertIn(catalogue.markdown(), README.read_text())


if __name__ == "__main__":
    unittest.main()
