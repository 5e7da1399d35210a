"""The table at the end, and how to see a run again."""

from run import Result

COLUMNS = ["seed", "faults", "jobs", "items", "lost", "repeated", "drift", "unknown", "refused", "takeover", "seconds", "verdict"]


def kind(result: Result, name: str) -> int:
    return sum(violation.count for violation in result.violations if violation.kind == name)


def row(result: Result) -> list[str]:
    return [
        str(result.seed), str(len(result.faults)), str(result.jobs), str(result.items), str(kind(result, "lost")),
        str(kind(result, "repeated")), str(kind(result, "drift")), str(result.unknown), str(result.refused),
        f"{result.slowest:.1f} s", f"{result.seconds:.0f}", "FAILED" if result.violations else "ok",
    ]


def total(results: list[Result]) -> list[str]:
    sums = [str(sum(int(row(result)[column]) for result in results)) for column in range(1, 9)]
    slowest = max(result.slowest for result in results)
    failed = sum(bool(result.violations) for result in results)
    seconds = sum(result.seconds for result in results)
    return ["all", *sums, f"{slowest:.1f} s", f"{seconds:.0f}", f"{failed} FAILED" if failed else "ok"]


def table(results: list[Result]) -> str:
    rows = [COLUMNS] + [row(result) for result in results] + [total(results)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(cells, widths)) for cells in rows)


def findings(result: Result) -> str:
    lines = [f"seed {result.seed}: {len(result.violations)} violations; evidence in {result.folder}"]
    lines += [f"  {violation}" for violation in result.violations]
    return "\n".join(lines)
