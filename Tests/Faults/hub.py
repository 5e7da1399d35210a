"""The service as a client sees it: HTTP with a shared access signature, on whichever coordinator answers."""

import base64
import hashlib
import hmac
import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass

API_VERSION = "2021-04-12"
FINAL = {"completed", "failed", "cancelled"}
# For one request; a coordinator that a fault has stopped must not hold the suite.
REQUEST_LIMIT = 8


class Unavailable(Exception):
    """No coordinator gave an answer that means anything: the request may or may not have been performed."""


class Refused(Exception):
    """The service answered and said no."""


@dataclass
class Hub:
    ports: list[int]
    policy: str
    key: bytes

    def connection_string(self, port: int) -> str:
        key = base64.b64encode(self.key).decode()
        return f"HostName=localhost:{port};SharedAccessKeyName={self.policy};SharedAccessKey={key}"

    def token(self) -> str:
        expires = int(time.time()) + 3600
        digest = hmac.new(self.key, f"localhost\n{expires}".encode(), hashlib.sha256).digest()
        signature = urllib.parse.quote(base64.b64encode(digest), safe="")
        return f"SharedAccessSignature sr=localhost&sig={signature}&se={expires}&skn={self.policy}"

    def request(self, method: str, path: str, body: dict | None = None) -> dict:
        last = None
        for port in self.ports:
            try:
                status, text = self._send(port, method, path, body)
            except (OSError, http.client.HTTPException) as error:
                last = error
                continue
            if status in (429, 503) or status >= 500:
                last = f"{status} {text[:200]}"
            elif status >= 300:
                raise Refused(f"{method} {path}: {status} {text[:500]}")
            else:
                return json.loads(text) if text else {}
        raise Unavailable(f"{method} {path}: {last}")

    def _send(self, port: int, method: str, path: str, body: dict | None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_LIMIT)
        try:
            headers = {"Authorization": self.token(), "Content-Type": "application/json", "Host": "localhost"}
            address = f"{path}?api-version={API_VERSION}"
            connection.request(method, address, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def until_answered(self, method: str, path: str, body: dict | None = None, within: float = 120) -> dict:
        """Repeats what got no answer: every request that the suite makes may be repeated."""
        deadline = time.monotonic() + within
        while True:
            try:
                return self.request(method, path, body)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def put_job(self, job_id: str, body: dict) -> dict:
        return self.until_answered("PUT", f"/jobs/v2/{job_id}", {"jobId": job_id, **body})

    def job(self, job_id: str) -> dict:
        return self.until_answered("GET", f"/jobs/v2/{job_id}")

    def cancel(self, job_id: str) -> dict:
        return self.until_answered("POST", f"/jobs/v2/{job_id}/cancel")
