"""The tutorial's device: answers lockDoor, and tells what it is asked to be. It runs until it is interrupted.

Prints a line for each: "waiting", "locked", and the members of its desired properties, which it reads when it starts and
hears of as they change.

usage: lock_device.py CONNECTION-STRING AUTHORITY-FILE
"""

import sys
import threading
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, MethodResponse


def main() -> None:
    _, connection, authority = sys.argv
    client = IoTHubDeviceClient.create_from_connection_string(
        connection, server_verification_cert=Path(authority).read_text()
    )

    def on_method(request) -> None:
        if request.name == "lockDoor":
            print("locked", flush=True)
            client.send_method_response(MethodResponse.create_from_method_request(request, 200))
        else:
            client.send_method_response(MethodResponse.create_from_method_request(request, 404))

    def on_desired(desired: dict) -> None:
        for member, value in desired.items():
            if not member.startswith("$"):
                print(f"{member} = {value}", flush=True)

    client.on_method_request_received = on_method
    client.on_twin_desired_properties_patch_received = on_desired
    on_desired(client.get_twin()["desired"])
    try:
        print("waiting", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        client.shutdown()


main()
