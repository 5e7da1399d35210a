"""Clocks that are wrong: a process whose wall clock is set apart, and jumps while it works (I8)."""

import shutil
import subprocess
import time
from pathlib import Path

from fault import Busy, Fault

SOURCE = Path(__file__).with_name("wrong_clock.c")
# Below the life of a token, whose check is the one place where a wall clock decides.
OFFSETS = [-1500, -60, -5, 5, 60, 1500]


def library(folder: Path) -> Path:
    """What is preloaded into the process; Swift brings the compiler."""
    path = folder / "wrong_clock.so"
    if not path.exists():
        compiler = shutil.which("clang") or shutil.which("cc")
        if compiler is None:
            raise Busy("there is no C compiler")
        unfinished = path.with_suffix(".new")
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(unfinished), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True)
        unfinished.rename(path)
    return path


class WrongClock(Fault):
    name = "clock-apart"
    also = ", `LeaseTests.clockSetBack`, `SimulationTests.skew`"
    effect = "a process is started anew with a wall clock that is off by up to 25 minutes and jumps: leases, deadlines " \
        "and results do not care"
    bound = "as without it"

    def inject(self, cluster, targets, draw):
        preload = library(cluster.folder)
        role, first, second = draw.choice(["worker", "gateway", "coordinator"]), *draw.sample(OFFSETS, 2)
        with targets.process(role, draw) as process:
            offset, before = cluster.folder / f"{process.name}.clock", process.environment
            wrong = {"LD_PRELOAD": str(preload), "MUSTER_CLOCK_OFFSET_FILE": str(offset)}
            offset.write_text(f"{first}")
            self._restart(process, before | wrong)
            try:
                time.sleep(draw.uniform(4.0, 8.0))
                offset.write_text(f"{second}")
                time.sleep(draw.uniform(4.0, 8.0))
            finally:
                self._restart(process, before)
        return f"{process.life_name}, {first:+d} s, then {second:+d} s"

    def _restart(self, process, environment: dict) -> None:
        process.is_held = True
        try:
            process.end()
            process.environment = environment
            process.start()
        finally:
            process.is_held = False


FAULTS = [WrongClock]
