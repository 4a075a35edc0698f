"""As much of Ryuk as testcontainers needs: who connects names a label; when it goes, so does all that has it.

Runs in a container, as root, with the engine's socket. The real one's image cannot be had everywhere.
"""

import http.client
import json
import os
import socket
import threading
import time
import urllib.parse


class Engine(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


def ask(method: str, path: str) -> bytes:
    engine = Engine("localhost")
    engine.request(method, path)
    return engine.getresponse().read()


def remove(label: str) -> None:
    having = urllib.parse.quote(json.dumps({"label": [label]}))
    for container in json.loads(ask("GET", f"/containers/json?all=1&filters={having}")):
        ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    for network in json.loads(ask("GET", f"/networks?filters={having}")):
        ask("DELETE", f"/networks/{network['Id']}")


def serve(connection: socket.socket) -> None:
    said = b""
    while not said.endswith(b"\n"):
        received = connection.recv(4096)
        if not received:
            return  # somebody who only looked whether the port is there
        said += received
    connection.sendall(b"ACK\n")
    while connection.recv(4096):
        pass
    time.sleep(float(os.environ["RYUK_RECONNECTION_TIMEOUT"].rstrip("s")))
    remove(said.decode().strip().removeprefix("label="))
    os._exit(0)


def main() -> None:
    listener = socket.create_server(("0.0.0.0", 8080))
    print("Started!", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
