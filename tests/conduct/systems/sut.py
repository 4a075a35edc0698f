"""A tiny mailer whose MODE says how it misbehaves: words with commas between. How runs end is tested with it.

It sends every message at once by its only route, and answers a GET with its state.
"""

import json
import os
import signal
import smtplib
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

MODE = os.environ.get("MODE", "").split(",")
ROUTE = urlsplit(os.environ["ROUTE_URL"])
STATE = Path(os.environ["STATE_DIR"])
AFTER_S = 2.5  # from the start to the misbehaviour: past the baseline of 1 s
answers = {}
one_at_a_time = threading.Lock()


def send(order):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = order["from"], order["to"], order["subject"]
    for header, value in order.get("headers", {}).items():
        mail[header] = value
    mail.set_content(order["text"])
    with smtplib.SMTP(ROUTE.hostname, ROUTE.port, timeout=2) as smtp:
        smtp.login(unquote(ROUTE.username), unquote(ROUTE.password))
        smtp.send_message(mail)


def die():
    print("the last words of the system", flush=True)
    os._exit(3)


def flood():
    until = time.monotonic() + 2
    block = (b"x" * 99 + b"\n") * 10_000  # 1 MB
    while time.monotonic() < until:
        os.write(1, block)
        time.sleep(0.01)
    os.write(1, b"the flood is over\n")


GARBAGE = {
    "garbage-html": ("text/html", b"<html>busy</html>", {}),
    "garbage-gzip": ("application/json", b"not gzip at all", {"Content-Encoding": "gzip"}),
    "garbage-deep": ("application/json", b"[" * 100_000, {}),
    "garbage-number": (
        "application/json",
        b'{"down": 1' + b"0" * 200 + b', "pending": 1' + b"0" * 200 + b"}",
        {},
    ),
}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        with one_at_a_time:
            if key not in answers and "delivers-nothing" not in MODE:
                try:
                    send(order)
                except (OSError, smtplib.SMTPException) as error:
                    return self.answer(503, json.dumps({"error": str(error)}).encode())
            answers[key] = "sent"
        self.answer(202, b"{}")

    def do_GET(self):
        if self.path == "/ready":
            return self.answer(503 if "never-ready" in MODE else 200, b"{}")
        for kind, body, headers in (GARBAGE[mode] for mode in MODE if mode in GARBAGE):
            return self.answer(200, body, kind, headers)
        items = (
            ["text", 7] if "garbage-states" in MODE else [{"token": key, "state": "sent"} for key in answers]
        )
        self.answer(200, json.dumps({"down": False, "pending": 0, "messages": items}).encode())

    def answer(self, code, body, kind="application/json", headers=None):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


started_before = STATE / "started"
if "does-not-come-back" in MODE and started_before.exists():
    print("the database is locked", flush=True)
    sys.exit(5)
started_before.touch()
if "stubborn" in MODE:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A daemon: a session of its own, and no parent that waits for it.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
for misbehave in (die,) * ("dies" in MODE) + (flood,) * ("floods" in MODE):
    timer = threading.Timer(AFTER_S, misbehave)
    timer.daemon = True
    timer.start()
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
