"""A device program of a test: the real device SDK, which notes what it is told and answers as the test says."""

import threading
from dataclasses import dataclass, field

from azure.iot.device import IoTHubDeviceClient, MethodResponse

from hub import Hub, eventually

# The port that the device SDK insists on; a port in its connection string does not work.
MQTT_PORT = 8883
# How soon the SDK tries again after a connection attempt that failed; its default is 10 s.
RETRY_INTERVAL = 1


def connection_string(name: str, key: str) -> str:
    return f"HostName=localhost;DeviceId={name};SharedAccessKey={key}"


@dataclass
class Calls:
    """Events in the order in which the SDK's threads told them."""

    items: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, item) -> None:
        with self.lock:
            self.items.append(item)

    def so_far(self) -> list:
        with self.lock:
            return list(self.items)

    def after(self, count: int, within: float = 30) -> list:
        """What came, once there are `count` of them."""
        return eventually(lambda: len(self.so_far()) >= count and self.so_far(), within)


class Device:
    """`answer` gets a MethodRequest and gives (status, payload), or None for a device that does not answer."""

    def __init__(self, hub: Hub, name: str, key: str, answer=lambda request: (200, None), **options):
        self.name = name
        self.answer = answer
        self.methods, self.patches, self.states = Calls(), Calls(), Calls()
        self.client = IoTHubDeviceClient.create_from_connection_string(
            connection_string(name, key), server_verification_cert=hub.authority.read_text(),
            **{"connection_retry_interval": RETRY_INTERVAL, **options},
        )
        self.client.on_connection_state_change = lambda: self.states.add(self.client.connected)

    def connect(self) -> "Device":
        self.client.connect()
        return self

    def serve_methods(self) -> "Device":
        """Connects if need be, and returns once the subscription is acknowledged."""
        self.client.on_method_request_received = self._method
        return self

    def watch_desired(self) -> "Device":
        self.client.on_twin_desired_properties_patch_received = self.patches.add
        return self

    def _method(self, request) -> None:
        self.methods.add((request.name, request.payload))
        answer = self.answer(request)
        if answer is not None:
            status, payload = answer
            self.client.send_method_response(MethodResponse.create_from_method_request(request, status, payload))

    def close(self) -> None:
        self.client.shutdown()
