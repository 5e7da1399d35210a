"""The promises I1 to I10, checked after a run by queries and by what the devices saw. Each check returns violations.

`Evidence` is what was gathered; the checks are plain functions of it, so that a test can hand them a broken world.
"""

from collections import Counter
from dataclasses import dataclass, field

from fleet import Device

# Resident bytes of one process at 10,000 devices; a release build stays far below, a debug build near it.
MEMORY_LIMIT = 400 << 20
TAKEOVER_LIMIT = 10.0
EXAMPLES = 5
# Codes that say the device was not called. DeviceNotOnline is none of them: the connection ended before the answer.
NOT_CALLED = {"JobCancelled", "JobRunPreconditionFailed", "DeviceNotFound"}


@dataclass
class Item:
    job_id: str
    seq: int
    device: str
    state: str
    attempt: int
    error_code: str | None
    status: str | None  # what the device answered


@dataclass
class Violation:
    invariant: str
    text: str
    kind: str = "other"  # lost, repeated, drift or other: the column of the table
    count: int = 1

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass
class Evidence:
    expected: dict = field(default_factory=dict)  # job id: load.Job
    jobs: list = field(default_factory=list)  # rows of queries.JOBS
    methods: list = field(default_factory=list)  # Item
    twin_results: list = field(default_factory=list)  # Item
    versions: dict = field(default_factory=dict)  # device: desired version of its twin
    devices: dict[str, Device] = field(default_factory=dict)
    drift: list = field(default_factory=list)
    snapshots: int = 0
    outcomes: list = field(default_factory=list)
    rewritten: list = field(default_factory=list)
    unknown: list = field(default_factory=list)
    living_gateways: set = field(default_factory=set)
    workers: dict = field(default_factory=dict)  # life name: worker id
    late: list = field(default_factory=list)
    untold: int = 0
    takeovers: list = field(default_factory=list)
    memory: dict = field(default_factory=dict)
    shown: dict = field(default_factory=dict)  # job id: the job as the API shows it


def examples(rows: list) -> str:
    more = f" and {len(rows) - EXAMPLES} more" if len(rows) > EXAMPLES else ""
    return "; ".join(str(row) for row in rows[:EXAMPLES]) + more


def violation(invariant: str, rows: list, text: str, kind: str = "other") -> list[Violation]:
    return [Violation(invariant, f"{len(rows)} {text}: {examples(rows)}", kind, len(rows))] if rows else []


def counters_agree(evidence: Evidence) -> list[Violation]:
    """I1, at every snapshot, and in what the API shows at the end."""
    found = violation("I1", evidence.drift, "counters differ from their items", "drift")
    if not evidence.snapshots:
        found.append(Violation("I1", "no snapshot was taken"))
    wrong = []
    items = Counter((item.job_id, item.state) for item in evidence.methods + evidence.twin_results)
    for job_id, shown in evidence.shown.items():
        statistics = shown["deviceJobStatistics"]
        names = {"succeededCount": "succeeded", "failedCount": "failed"}
        counts = {name: items[job_id, state] for name, state in names.items()}
        if any(statistics[name] != count for name, count in counts.items()):
            wrong.append((job_id, statistics, counts))
    return found + violation("I1", wrong, "jobs are shown with other counts than their items have", "drift")


def jobs_end(evidence: Evidence) -> list[Violation]:
    """I2 and I6: each job ended with one outcome for each device that its condition selects, and none is stuck."""
    found = []
    rows = {row[1]: row for row in evidence.jobs}
    missing = [job_id for job_id in evidence.expected if job_id not in rows]
    found += violation("I6", missing, "accepted jobs are gone", "lost")
    found += violation("I6", [row[1:4] for row in rows.values() if not row[4]], "jobs did not end", "lost")
    for job, job_id, _, _, ended, started, items, devices, still_open, batches, waiting in rows.values():
        expected = evidence.expected[job_id]
        # A job that was cancelled or whose time was over before its expansion was complete has fewer.
        if items < expected.devices and expected.fate == "run":
            found.append(Violation("I6", f"{job_id}: {items} items for {expected.devices} devices", "lost"))
        if items > expected.devices or devices != items:
            text = f"{job_id}: {items} items on {devices} devices, {expected.devices} were selected"
            found.append(Violation("I2", text, "repeated"))
        if ended and (still_open or batches or waiting):
            text = f"{job_id} has ended with {still_open} open items, {batches} open batches, {waiting} waiting"
            found.append(Violation("I2", text, "lost", still_open or 1))
    return found


def outcomes_are_final(evidence: Evidence) -> list[Violation]:
    """I2: no later write changes an outcome, and each item got exactly one."""
    found = violation("I2", evidence.rewritten, "items were changed after their outcome", "repeated")
    written = Counter()
    for _, job, _, _, items, _ in evidence.outcomes:
        written[job] += items
    wrong = [
        (row[1], f"{written[row[0]]} outcomes written", f"{row[6] - row[8]} items have one")
        for row in evidence.jobs if written[row[0]] != row[6] - row[8]
    ]
    return found + violation("I2", wrong, "jobs have another number of outcomes than were written", "repeated")


def owners_write(evidence: Evidence) -> list[Violation]:
    """I3: a worker gives outcomes to items of its own batches only."""
    wrong = [
        row for row in evidence.outcomes
        if row[0].startswith("worker-") and evidence.workers.get(row[0]) not in (None, row[3])
    ]
    return violation("I3", wrong, "writes by a worker that did not own the batch (writer, job, batch, owner, items)")


def patched_once(evidence: Evidence) -> list[Violation]:
    """I4: a twin's desired version was raised once for each job that patched it."""
    expected = Counter(item.device for item in evidence.twin_results if item.state == "succeeded")
    rows = [
        (device, f"version {version}", f"{expected[device]} patches succeeded")
        for device, version in evidence.versions.items() if version - 1 != expected[device]
    ]
    repeated = [row for row in rows if evidence.versions[row[0]] - 1 > expected[row[0]]]
    return violation("I4", repeated, "twins were patched more often than recorded", "repeated") + violation(
        "I4", [row for row in rows if row not in repeated], "twins lack a recorded patch", "lost")


def called_once(evidence: Evidence) -> list[Violation]:
    """I5, by the devices' own account: at most one call for each attempt, and an answer for each success."""
    repeated, invented, wrong = [], [], []
    for item in evidence.methods:
        device = evidence.devices.get(item.device)
        answers = device.calls.get(item.job_id, []) if device else []
        told = (item.job_id, item.device, item.state, item.error_code, f"attempts {item.attempt}", f"saw {answers}")
        if len(answers) > 1:
            repeated.append(told)
        elif item.state == "succeeded" and (not answers or str(answers[0]) != item.status):
            invented.append(told)
        elif answers and item.error_code in NOT_CALLED:
            wrong.append(told)
    recorded = {(item.job_id, item.device) for item in evidence.methods}
    stray = [
        (name, call) for name, device in evidence.devices.items() for call in device.calls
        if (call, name) not in recorded
    ]
    return (
        violation("I5", repeated, "calls reached a device more than once", "repeated")
        + violation("I5", invented, "successes are recorded that no device answered like this", "lost")
        + violation("I5", wrong, "devices were called and recorded as not called", "lost")
        + violation("I5", stray, "devices were called that the job does not have", "repeated")
    )


def unknown_only_of_gone_gateways(evidence: Evidence) -> list[Violation]:
    """I5: an outcome is unknown only when the gateway incarnation that held its dispatch is gone, or when a cancel or
    the deadline left no time to ask it."""
    wrong = [
        row for row in evidence.unknown
        if not row[3] or not row[4] and set(row[3]) <= evidence.living_gateways
    ]
    return violation("I5", wrong, "outcomes are unknown although the gateway lives or nothing was dispatched")


def cancelled_in_time(evidence: Evidence) -> list[Violation]:
    """I7."""
    return violation("I7", evidence.late, "items were dispatched later than 2 s after a cancel")


def taken_over_in_time(evidence: Evidence) -> list[Violation]:
    """I6."""
    slow = [
        (takeover.what, takeover.seconds) for takeover in evidence.takeovers
        if takeover.seconds is None or takeover.seconds > TAKEOVER_LIMIT
    ]
    return violation("I6", slow, f"takeovers took longer than {TAKEOVER_LIMIT:.0f} s")


def memory_is_bounded(evidence: Evidence) -> list[Violation]:
    """I9."""
    large = [(name, f"{size >> 20} MB") for name, size in evidence.memory.items() if size > MEMORY_LIMIT]
    return violation("I9", large, f"processes grew beyond {MEMORY_LIMIT >> 20} MB")


def devices_were_told(evidence: Evidence) -> list[Violation]:
    """Design 4.5: notices are at least once: each connected device knows its newest desired version in the end."""
    behind = [
        (name, f"knows {device.desired_version}", f"twin has {evidence.versions.get(name)}")
        for name, device in evidence.devices.items() if device.desired_version != evidence.versions.get(name)
    ]
    found = violation("notices", behind, "devices do not know their twin's version", "lost")
    if evidence.untold:
        found.append(Violation("notices", f"{evidence.untold} marks are left", "lost", evidence.untold))
    return found


CHECKS = [
    counters_agree, jobs_end, outcomes_are_final, owners_write, patched_once, called_once,
    unknown_only_of_gone_gateways, cancelled_in_time, taken_over_in_time, memory_is_bounded, devices_were_told,
]


def check(evidence: Evidence) -> list[Violation]:
    return [found for each in CHECKS for found in each(evidence)]
