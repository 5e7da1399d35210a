"""The tutorial's device as it was published: it answers lockDoor with 200 and no payload, and crashes right after.

The published program has an inverted error test and fails once it has answered, without saying goodbye to the hub; this
one ends itself at the same point, to the same effect.

usage: lock_device_as_published.py CONNECTION-STRING AUTHORITY-FILE
"""

import os
import sys
import threading
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, MethodResponse

CRASHED = 70


def main() -> None:
    _, connection, authority = sys.argv
    client = IoTHubDeviceClient.create_from_connection_string(
        connection, server_verification_cert=Path(authority).read_text()
    )

    def on_method(request) -> None:
        if request.name != "lockDoor":
            return
        client.send_method_response(MethodResponse.create_from_method_request(request, 200))
        print("locked", flush=True)
        os._exit(CRASHED)

    client.on_method_request_received = on_method
    print("waiting", flush=True)
    threading.Event().wait()


main()
