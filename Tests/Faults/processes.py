"""Processes of a run: start, signal, restart as an orchestrator would, and the log of each life kept for a person.

A process has a name ("worker-1") and lives ("worker-1.2"). The life's name is also the application name of its PostgreSQL
connections, so the suite can tell which life wrote what.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# How long a process that was asked to end may take: a worker waits up to 20 s for its calls, then says goodbye.
STOP_LIMIT = 45

# Linux sends the death signal when the *thread* that started a process ends, so one that lives as long as the suite
# starts them all.
STARTER = ThreadPoolExecutor(1)


def free_port() -> int:
    """Below the ports that the kernel gives to outgoing connections: a process that is restarted needs its port again."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def eventually(check, within: float, what: str, pause: float = 0.05):
    """Repeats `check` until it gives something true, and returns that."""
    deadline = time.monotonic() + within
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within} s")
        time.sleep(pause)


def dying_with_us(command: list) -> list:
    """A killed suite must leave nothing behind; `setpriv` sets this and then becomes the command, pid and all."""
    return [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]


class Process:
    def __init__(self, name: str, command: list, folder: Path, environment: dict | None = None):
        self.name, self.command, self.folder = name, command, folder
        self.environment = environment or {}
        self.life = 0
        self.popen: subprocess.Popen | None = None
        self.is_stopped = False  # by SIGSTOP
        self.is_held = False  # nobody restarts it meanwhile
        self.died_at = 0.0
        self.exit_codes: list = []
        self.expected_codes = {0, -signal.SIGKILL}

    @property
    def life_name(self) -> str:
        return f"{self.name}.{self.life}"

    @property
    def is_alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.life_name}.log"

    def start(self) -> None:
        self.life += 1
        self.is_stopped = False
        environment = {**os.environ, "PGAPPNAME": self.life_name, **self.environment}
        with self.log.open("wb") as log, (self.folder / f"{self.life_name}.out").open("wb") as out:
            start = STARTER.submit(
                subprocess.Popen, dying_with_us(self.command), stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env=environment,
            )
            self.popen = start.result(10)

    def signal(self, number: int) -> None:
        if self.is_alive:
            self.popen.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait(10)

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)
        self.is_stopped = True

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)
        self.is_stopped = False

    def wait(self, limit: float) -> int | None:
        """The exit code, after at most `limit` seconds; None when it still runs."""
        try:
            return self.popen.wait(limit)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> int | None:
        """In order. A process that does not end in time is killed and gives None."""
        if not self.is_alive:
            return self.popen.returncode if self.popen else None
        if self.is_stopped:
            self.go_on()
        self.signal(signal.SIGTERM)
        code = self.wait(STOP_LIMIT)
        if code is None:
            self.kill()
        return code

    def events(self, life: int | None = None) -> list[dict]:
        """The JSON lines of one life's log, by default the current one."""
        return [event for event in map(parse, self.lines(life)) if event]

    def lines(self, life: int | None = None) -> list[str]:
        path = self.folder / f"{self.name}.{life or self.life}.log"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def event(self, name: str, within: float = 60) -> dict:
        def found():
            if not self.is_alive:
                raise RuntimeError(f"{self.life_name} ended with {self.popen.returncode}: {self.lines()[-3:]}")
            return next((event for event in self.events() if event.get("event") == name), None)

        return eventually(found, within, f"{self.life_name}: event {name}")

    def resident_bytes(self) -> int:
        try:
            text = Path(f"/proc/{self.popen.pid}/status").read_text()
        except (OSError, AttributeError):
            return 0
        return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmRSS")), 0)


def parse(line: str) -> dict | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Orchestrator(threading.Thread):
    """Starts dead processes again after a pause, until it is told to stop."""

    PAUSE = 2.0

    def __init__(self, processes: list[Process]):
        super().__init__(daemon=True)
        self.processes = processes
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(0.1):
            for process in self.processes:
                self._look_at(process)

    def _look_at(self, process: Process) -> None:
        if process.is_alive:
            process.died_at = 0.0
        elif not process.died_at:
            process.died_at = time.monotonic()
            process.exit_codes.append((process.life_name, process.popen.returncode))
        elif time.monotonic() - process.died_at > self.PAUSE and not process.is_held:
            process.start()

    def finish(self) -> None:
        self.is_over.set()
        self.join()
