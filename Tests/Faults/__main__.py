"""deploy/test faults: real processes, real stores, a simulated fleet, and faults drawn from a seed. See Tests/README.md."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import catalogue
import disk
import report
from run import Run

ROOT = Path(__file__).resolve().parents[2]
# Form: seeds, seconds of faults in each run, mean seconds between two faults.
SHORT = (2, 30.0, 4.0)
LONG = (10, 60.0, 4.0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy/test faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="ten seeds of a minute of faults each")
    parser.add_argument("--seeds", type=int, help="this many runs")
    parser.add_argument("--seed", type=int, help="the first run's seed; the next ones count up from it (default: random)")
    parser.add_argument("--seconds", type=float, help="seconds of faults in each run")
    parser.add_argument("--interval", type=float, help="mean seconds between two faults")
    parser.add_argument("--only", action="append", choices=sorted(catalogue.CATALOGUE), help="draw from these faults only")
    parser.add_argument("--keep", action="store_true", help="keep the folders of runs without findings too")
    parser.add_argument("--list", action="store_true", help="print the catalogue and end")
    return parser.parse_args()


def replay(options: argparse.Namespace, seed: int, seconds: float, interval: float) -> str:
    only = "".join(f" --only {name}" for name in options.only or [])
    return f"deploy/test faults --seed {seed} --seeds 1 --seconds {seconds:g} --interval {interval:g}{only}"


def main() -> int:
    options = arguments()
    disk.enter_namespace()
    if options.list:
        print(catalogue.markdown())
        return 0
    seeds, seconds, interval = LONG if options.long else SHORT
    seeds, seconds, interval = options.seeds or seeds, options.seconds or seconds, options.interval or interval
    first = options.seed if options.seed is not None else int.from_bytes(os.urandom(3), "big")
    binary = os.environ.get("MUSTER_BINARY", str(ROOT / ".build" / "debug" / "muster"))
    results = []
    for seed in range(first, first + seeds):
        folder = Path(tempfile.mkdtemp(prefix=f"muster-faults-{seed}-"))
        folder.chmod(0o755)  # the stores' user must get through
        print(f"seed {seed}; the same again: {replay(options, seed, seconds, interval)}", flush=True)
        result = Run(binary, folder, seed, seconds, interval, options.only).go()
        results.append(result)
        for store in ("postgres", "redis"):
            shutil.rmtree(folder / store, ignore_errors=True)
        if result.violations:
            print(report.findings(result), flush=True)
        elif not options.keep:
            shutil.rmtree(folder)
    print(report.table(results))
    bad = sum(bool(result.violations) for result in results)
    print(f"{len(results) - bad} runs passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
