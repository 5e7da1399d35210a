"""Clocks that are wrong: a process whose wall clock is set apart, and jumps while it works (I8)."""

import time
from pathlib import Path

from fault import Busy, Fault

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# Below the life of a token, whose check is the one place where a wall clock decides.
OFFSETS = [-1500, -60, -5, 5, 60, 1500]


class WrongClock(Fault):
    name = "clock-apart"
    effect = "a process goes on with a wall clock that is off by up to 25 minutes and jumps: leases, deadlines and " \
        "results do not care"
    bound = "as without it"

    def inject(self, cluster, targets, draw):
        if not LIBRARIES:
            raise Busy("libfaketime is not installed")
        role, first, second = draw.choice(["worker", "gateway", "coordinator"]), *draw.sample(OFFSETS, 2)
        with targets.process(role, draw) as process:
            offset = cluster.folder / f"{process.name}.clock"
            before = process.environment
            self._restart(process, before | {
                "LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1",
            }, offset, first)
            try:
                time.sleep(draw.uniform(4.0, 8.0))
                offset.write_text(f"{second:+d}")
                time.sleep(draw.uniform(4.0, 8.0))
            finally:
                self._restart(process, before, offset, 0)
        return f"{process.life_name}, {first:+d} s, then {second:+d} s"

    def _restart(self, process, environment: dict, offset: Path, seconds: int) -> None:
        process.is_held = True
        try:
            process.end()
            offset.write_text(f"{seconds:+d}")
            process.environment = environment
            process.start()
        finally:
            process.is_held = False


FAULTS = [WrongClock]
