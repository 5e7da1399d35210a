"""One Muster for the run, with every role in one process, on stores of its own, over TLS; one world for each test."""

import os
import uuid

import pytest

import certificates
from device import Device
from hub import Hub, World
from muster_process import MusterProcess


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Hub:
    folder = tmp_path_factory.mktemp("muster")
    made = certificates.make(folder)
    # The SDK's HTTP client reads this; it is how an operator makes it trust a private authority.
    os.environ["REQUESTS_CA_BUNDLE"] = str(made.authority)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1"
    with MusterProcess(folder, made) as process:
        yield process.hub()
        process.verify()


@pytest.fixture
def world(hub) -> World:
    return World(hub, "w" + uuid.uuid4().hex[:10])


@pytest.fixture
def start(world):
    """Makes the program of a device, which is not connected yet, and ends it with the test."""
    started = []

    def make(name: str, answer=lambda request: (200, None), **options) -> Device:
        device = Device(world.hub, name, options.pop("key", None) or world.key(name), answer, **options)
        started.append(device)
        return device

    yield make
    for device in started:
        device.close()
