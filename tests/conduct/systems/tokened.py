"""A tiny mailer whose usual route wants a token from an endpoint of its own; it keeps one until it runs out.

Where no token is to be had, or the mail is refused, it says that the primary is down, takes the backup, and
asks for a token again every so often.
"""

import json
import os
import smtplib
import ssl
import sys
import threading
import time
import urllib.request
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from urllib.parse import unquote, urlencode, urlsplit

BACKUP = urlsplit(os.environ["BACKUP_URL"])
ASK_AGAIN_S = 0.3
orders = Queue()
down = threading.Event()
held = {"token": "", "until": 0.0, "ask_at": 0.0}


def post(url, body, headers):
    request = urllib.request.Request(url, body, headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=2) as answer:
        return answer.read()


def token():
    if time.monotonic() >= held["until"]:
        if time.monotonic() < held["ask_at"]:
            raise OSError("asked a moment ago")
        held["ask_at"] = time.monotonic() + ASK_AGAIN_S
        form = urlencode({"id": os.environ["CLIENT"], "secret": os.environ["SECRET"]}).encode()
        got = json.loads(post(os.environ["TOKEN_URL"] + "/token", form, {}))
        held["token"], held["until"] = got["token"], time.monotonic() + 0.9 * got["lasts_s"]
        held["ask_at"] = 0.0
    return held["token"]


def by_primary(order):
    content = {
        "personalizations": [{"to": [{"email": order["to"]}]}],
        "from": {"email": order["from"]},
        "subject": order["subject"],
        "content": [{"type": "text/plain", "value": order["text"]}],
        "headers": order["headers"],
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token()}"}
    post(os.environ["API_URL"] + "/v3/mail/send", json.dumps(content).encode(), headers)


def by_backup(order):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = order["from"], order["to"], order["subject"]
    for header, value in order["headers"].items():
        mail[header] = value
    mail.set_content(order["text"])
    with smtplib.SMTP(BACKUP.hostname, BACKUP.port, timeout=5) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=os.environ["CA_FILE"]))
        smtp.login(unquote(BACKUP.username), unquote(BACKUP.password))
        smtp.send_message(mail)


def work():
    while True:
        order = orders.get()
        try:
            by_primary(order)
            down.clear()
        except OSError as error:
            print(f"the primary: {error}", file=sys.stderr, flush=True)
            down.set()
            by_backup(order)


class Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        orders.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(202, {})

    def do_GET(self):
        self.answer(200, {"down": down.is_set()})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    threading.Thread(target=work, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Door).serve_forever()
