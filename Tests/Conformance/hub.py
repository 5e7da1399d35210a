"""What tests know about the running Muster: how to reach it, with whose key, and how to wait for it."""

import base64
import hashlib
import hmac
import time
import urllib.parse
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests
from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, JobRequest, QuerySpecification, Twin, TwinProperties

API_VERSION = "2021-04-12"
FINAL = {"completed", "failed", "cancelled"}


def eventually(check, within: float = 30):
    """Repeats `check` until it gives something true, and returns that."""
    deadline = time.monotonic() + within
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < deadline, f"still {result!r} after {within} s"
        time.sleep(0.05)


def token(resource: str, policy: str | None, key: str, expires: int) -> str:
    """A shared access signature as the SDKs make it; a device's names no policy."""
    encoded = urllib.parse.quote(resource, safe="")
    digest = hmac.new(base64.b64decode(key), f"{encoded}\n{expires}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={encoded}&sig={signature}&se={expires}" + (f"&skn={policy}" if policy else "")


@dataclass(frozen=True)
class Hub:
    """One Muster, seen through one shared access policy."""

    host: str
    policy: str
    key: str
    keys: dict = field(default_factory=dict, repr=False)
    database: str = ""
    authority: Path = Path()

    @property
    def connection_string(self) -> str:
        return f"HostName={self.host};SharedAccessKeyName={self.policy};SharedAccessKey={self.key}"

    def under(self, policy: str) -> "Hub":
        return replace(self, policy=policy, key=self.keys[policy])

    def with_key(self, key: str) -> "Hub":
        return replace(self, key=key)

    @property
    def registry(self) -> IoTHubRegistryManager:
        manager = IoTHubRegistryManager.from_connection_string(self.connection_string)
        manager.protocol.config.keep_alive = True
        return manager

    @property
    def jobs(self) -> IoTHubJobManager:
        manager = IoTHubJobManager.from_connection_string(self.connection_string)
        manager.protocol.config.keep_alive = True
        return manager

    def request(self, method: str, path: str, authorization: str | None = None, headers=None, params=None, **rest):
        """A plain HTTP request, for what the SDK cannot say."""
        if authorization is None:
            authorization = token(self.host, self.policy, self.key, int(time.time()) + 600)
        headers = {"Authorization": authorization, **(headers or {})}
        params = {"api-version": API_VERSION, **(params or {})}
        return requests.request(
            method, f"https://{self.host}{path}", headers=headers, params=params, timeout=30, **rest
        )


class World:
    """The devices and jobs of one test, apart from every other test's by their names and a tag."""

    def __init__(self, hub: Hub, name: str):
        self.hub = hub
        self.name = name
        self.registry = hub.registry
        self.jobs = hub.jobs
        self.condition = f"tags.world = '{name}'"

    def device_id(self, number: int) -> str:
        return f"{self.name}-{number:04}"

    def create_devices(self, count: int, **tags) -> list[str]:
        """Devices with their twins, by the bulk call, in its largest portions."""
        from azure.iot.hub.models import ExportImportDevice

        ids = [self.device_id(number) for number in range(count)]
        for start in range(0, count, 100):
            portion = [
                ExportImportDevice(
                    id=name, import_mode="create", status="enabled", tags={"world": self.name, **tags}
                )
                for name in ids[start : start + 100]
            ]
            result = self.registry.bulk_create_or_update_devices(portion)
            assert result.is_successful, result.errors
        return ids

    def query(self, text: str, page: int | None = None) -> list:
        """All pages of a query, items as the service sent them."""
        items, continuation = [], None
        while True:
            result = self.registry.query_iot_hub(
                QuerySpecification(query=text), continuation, str(page) if page else None
            )
            assert page is None or len(result.items) <= page
            items += [item.serialize() | (item.additional_properties or {}) for item in result.items]
            continuation = result.continuation_token
            if not continuation:
                return items

    def twin_job(self, job_id: str, condition: str | None = None, start=None, seconds: int = 300, **sections):
        properties = TwinProperties(desired=sections["desired"]) if "desired" in sections else None
        twin = Twin(etag=sections.get("etag", "*"), tags=sections.get("tags"), properties=properties)
        return self.jobs.create_scheduled_job(
            job_id,
            JobRequest(
                job_id=job_id, type="scheduleUpdateTwin", update_twin=twin,
                query_condition=condition or self.condition, start_time=start,
                max_execution_time_in_seconds=seconds,
            ),
        )

    def key(self, name: str) -> str:
        return self.registry.get_device(name).authentication.symmetric_key.primary_key

    def invoke(self, name: str, method: str, payload=None, response: int = 30, connect: int = 0):
        return self.registry.invoke_device_method(
            name,
            CloudToDeviceMethod(
                method_name=method, payload=payload, response_timeout_in_seconds=response,
                connect_timeout_in_seconds=connect,
            ),
        )

    def method_job(self, job_id: str, method: str, condition=None, payload=None, response: int = 30, seconds: int = 300):
        return self.jobs.create_scheduled_job(
            job_id,
            JobRequest(
                job_id=job_id, type="scheduleDeviceMethod", query_condition=condition or self.condition,
                cloud_to_device_method=CloudToDeviceMethod(
                    method_name=method, payload=payload, response_timeout_in_seconds=response,
                ),
                max_execution_time_in_seconds=seconds,
            ),
        )

    def finished(self, job_id: str, within: float = 60):
        """The job, once it has ended: every device counted and the end time known."""

        def ended():
            job = self.jobs.get_scheduled_job(job_id)
            return job if job.status in FINAL and job.end_time else None

        return eventually(ended, within)

    def results(self, job_id: str, page: int | None = None) -> list:
        return self.query(f"SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{job_id}'", page)
