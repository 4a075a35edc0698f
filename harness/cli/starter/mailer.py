"""A tiny mailer with two SMTP routes: the system under test of the starter scenario.

POST /messages sends at once, by the primary route, or by the backup while the primary is down. It moves to
the backup only when it knows that the primary did not take the message. GET /status tells which is down.
"""

import json
import os
import smtplib
import threading
import time
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TRY_AGAIN_AFTER_S = 1.0
routes = {name: urlsplit(os.environ[f"{name.upper()}_URL"]) for name in ("primary", "backup")}
down = {}  # route -> when to try it again
answers = {}  # idempotency key -> what the caller was told
one_at_a_time = threading.Lock()


def took(url, mail):
    """Whether the provider took it. Raises OSError where nobody can know."""
    try:
        smtp = smtplib.SMTP(url.hostname, url.port, timeout=2)
        smtp.login(unquote(url.username), unquote(url.password))
    except OSError:  # every smtplib.SMTPException is one
        return False  # nothing was handed over yet: a clear no, and the other route may have it
    try:
        with smtp:
            smtp.send_message(mail)
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
        return False
    return True


def deliver(mail):
    for name, url in routes.items():
        if time.monotonic() < down.get(name, 0):
            continue
        try:
            if not took(url, mail):
                down[name] = time.monotonic() + TRY_AGAIN_AFTER_S
                continue
        except OSError:
            return "held"  # it broke off on the way: the provider may have it. Sending again could make two
        down.pop(name, None)
        return "sent"
    return None


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        with one_at_a_time:
            if key not in answers:
                mail = EmailMessage()
                mail["From"], mail["To"], mail["Subject"] = order["from"], order["to"], order["subject"]
                for header, value in order.get("headers", {}).items():
                    mail[header] = value
                mail.set_content(order["text"])
                state = deliver(mail)
                if state is None:
                    return self.answer(503, {"error": "no route takes mail; ask again"})
                answers[key] = state
        self.answer(202, {"id": key, "state": answers[key]})

    def do_GET(self):
        states = {name: "down" if name in down else "up" for name in routes}
        held = [{"token": key, "state": state} for key, state in list(answers.items()) if state == "held"]
        self.answer(200, {"routes": states, "messages": held})

    def answer(self, code, document):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_):
        pass


# In a container LISTEN is 0.0.0.0 (Dockerfile): at 127.0.0.1 nobody outside of it would be heard.
address = os.environ.get("LISTEN", "127.0.0.1"), int(os.environ["PORT"])
ThreadingHTTPServer(address, Handler).serve_forever()
