"""Simulated devices, and the account of what they saw: the side of the promises that no record of Muster can vouch for."""

import json
from dataclasses import dataclass
from pathlib import Path

from processes import STOP_LIMIT, Process


@dataclass
class Device:
    """What one device received: for each method the answers it gave, and the twin as it knows it."""

    calls: dict[str, list]
    desired_version: int | None
    connects: int


class Fleet:
    """One `muster simulate` whose devices reach their gateway through one link of the proxy."""

    def __init__(self, binary: str, name: str, devices: int, link, connection_string: str, folder: Path, seed: int):
        self.name, self.count, self.link = name, devices, link
        self.report_file = folder / f"{name}.ndjson"
        command = [
            binary, "simulate", "--devices", devices, "--prefix", f"{name}-", "--create", "--json", "--seed", seed,
            "--mqtt", f"127.0.0.1:{link.port}", "--plain", "--plain-http", "--latency", "exp:400ms",
            "--failure-rate", "0.02", "--keep-alive", "10s", "--report-file", self.report_file,
            "--connection-string", connection_string,
        ]
        self.process = Process(name, command, folder / "logs")

    def start(self) -> None:
        self.process.start()

    def is_ready(self) -> bool:
        if not self.process.is_alive:
            raise RuntimeError(f"{self.name} ended: {self.process.lines()[-3:]}")
        out = self.process.folder / f"{self.process.life_name}.out"
        return '"ready"' in out.read_text(errors="replace")

    def account(self) -> dict[str, Device]:
        """Ends the fleet and reads what each device saw."""
        code = self.process.end()
        if code != 0:
            raise RuntimeError(f"{self.name} ended with {code} within {STOP_LIMIT} s: {self.process.lines()[-3:]}")
        devices = {}
        for line in self.report_file.read_text().splitlines():
            seen = json.loads(line)
            total = sum(len(calls) for calls in seen["calls"].values())
            assert total == seen["callCount"], f"{seen['device']}: more calls than the simulator keeps"
            devices[seen["device"]] = Device(
                calls={name: [call["status"] for call in calls] for name, calls in seen["calls"].items()},
                desired_version=seen["desired"]["version"],
                connects=seen["connects"],
            )
        return devices
