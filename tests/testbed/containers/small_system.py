"""A system in a container that does as it is told: calls, writes, reads, ends. The standard library alone."""

import json
import os
import signal
import socket
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit


def call(host, port):
    try:
        with socket.create_connection((host, int(port)), timeout=5) as peer:
            return {"said": peer.recv(100).decode()}
    except OSError as error:
        return {"error": str(error)}


def name(host):
    return {"address": socket.gethostbyname(host)}


def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return {"answer": answer.read().decode()}
    except OSError as error:
        return {"error": str(error)}


def write(line, file="$STATE_DIR/lines"):
    with open(os.path.expandvars(file), "a") as lines:
        lines.write(line + "\n")
    return {}


def read(file):
    if not Path(os.path.expandvars(file)).exists():
        return {"content": ""}
    with open(os.path.expandvars(file)) as lines:
        return {"content": lines.read()}


def exit_(code, words):
    print(words, flush=True)
    os._exit(int(code))


def stubborn(yes):
    end.stubborn = bool(int(yes))
    return {}


def end(*_):
    if not getattr(end, "stubborn", False):
        os._exit(0)


ANSWERS = {
    "/given": lambda: {**os.environ, "arguments": sys.argv[1:]},
    "/call": call,
    "/name": name,
    "/ask": ask,
    "/write": write,
    "/read": read,
    "/exit": exit_,
    "/stubborn": stubborn,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        answer = ANSWERS.get(parts.path, lambda **_: {})(**dict(parse_qsl(parts.query)))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        posted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        write(posted, "$STATE_DIR/posted")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    server = ThreadingHTTPServer(("0.0.0.0", 8080), Handler)
    print("the small system listens", flush=True)
    threading.Thread(target=server.serve_forever).start()
