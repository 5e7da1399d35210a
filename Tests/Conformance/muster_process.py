"""Starts `muster dev` over TLS and stops it, with everything it started, at the end.

HTTP gets a free port; MQTT the one that the device SDK insists on."""

import json
import os
import queue
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from certificates import Certificates
from device import MQTT_PORT
from hub import Hub

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ["iothubowner", "service", "device", "registryRead", "registryReadWrite"]
START_LIMIT = 60
STOP_LIMIT = 60


def claim_mqtt_port() -> None:
    """Says who is in the way, if anybody is; the gateway would only fail to start."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", MQTT_PORT))
        except OSError as error:
            pytest.exit(
                f"port {MQTT_PORT} on 127.0.0.1 is taken ({error.strerror}), and the device SDK cannot use another: "
                "stop what listens there (`ss -ltnp 'sport = :8883'` shows it), then run these tests again",
                returncode=1,
            )


class MusterProcess:
    def __init__(self, folder: Path, certificates: Certificates):
        self.binary = os.environ.get("MUSTER_BINARY", str(ROOT / ".build" / "debug" / "muster"))
        self.log = folder / "muster.log"
        self.certificates = certificates

    def __enter__(self) -> "MusterProcess":
        claim_mqtt_port()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    self.binary, "dev", "--ephemeral", "--json", "--listen", "127.0.0.1:0", "--log-level", "warning",
                    "--listen-mqtt", f"127.0.0.1:{MQTT_PORT}",
                    "--tls-cert", str(self.certificates.chain), "--tls-key", str(self.certificates.key),
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )
        try:
            self.addresses = json.loads(self._first_line())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        code = self._stop()
        assert code == 0, f"muster dev ended with {code}:\n{self.log.read_text()[-4000:]}"

    def _first_line(self) -> str:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_LIMIT)
        except queue.Empty:
            line = ""
        assert line, f"muster dev is not ready:\n{self.log.read_text()[-4000:]}"
        return line

    def _stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(STOP_LIMIT)

    def hub(self) -> Hub:
        fields = dict(part.split("=", 1) for part in self.addresses["connectionString"].split(";"))
        keys = {name: self._policy(name)["primaryKey"] for name in POLICIES}
        return Hub(
            host=fields["HostName"], policy=fields["SharedAccessKeyName"], key=fields["SharedAccessKey"],
            keys=keys, database=self.addresses["databaseUrl"], authority=self.certificates.authority,
        )

    def verify(self) -> None:
        """Recounts every job of the run from its work items."""
        recount = subprocess.run(
            [self.binary, "verify"], capture_output=True, text=True, timeout=60,
            env={**os.environ, "DATABASE_URL": self.addresses["databaseUrl"]},
        )
        assert recount.returncode == 0, recount.stdout + recount.stderr

    def _policy(self, name: str) -> dict:
        shown = subprocess.run(
            [self.binary, "policy", "show", name, "--json"], check=True, capture_output=True, text=True,
            env={**os.environ, "DATABASE_URL": self.addresses["databaseUrl"]}, timeout=30,
        )
        return json.loads(shown.stdout)
