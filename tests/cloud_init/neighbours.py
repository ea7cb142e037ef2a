"""The proxy of a cloud services network and the host of the binary, inside a machine under test.

    neighbours.py PORT PLAN

PLAN is JSON: `after` (seconds until the port opens), `connect` (status of a CONNECT), `credentials` (user:password
that it asks for), `replies` (one for each request, the last one again and again: status, or the name of a file),
`certificate` (PEM of the host behind CONNECT). What was asked is written to /requests, a line each.
"""

import base64
import json
import socketserver
import ssl
import sys
import time
from pathlib import Path

PLAN = json.loads(sys.argv[2])
REPLIES = list(PLAN.get("replies", ["/srv/arc-enroll"]))


class Neighbour(socketserver.StreamRequestHandler):
    """Answers one request, as the proxy or, after a CONNECT, as the host behind it."""

    def head(self):
        lines = []
        while (line := self.rfile.readline().decode().strip()) != "":
            lines.append(line)
        with open("/requests", "a", encoding="utf-8") as file:
            file.write(lines[0] + "\n" if lines else "closed\n")
        return lines

    def answer(self, status, body=b"", reason="As planned"):
        self.wfile.write(f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self.wfile.flush()

    def handle(self):
        lines = self.head()
        if not lines:
            return
        wanted = "proxy-authorization: basic " + base64.b64encode(PLAN.get("credentials", "").encode()).decode()
        if PLAN.get("credentials") and wanted.lower() not in [line.lower() for line in lines]:
            self.answer(407)
            return
        if lines[0].startswith("CONNECT "):
            status = PLAN.get("connect", 200)
            if status != 200:
                self.answer(status)
                return
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.wfile.flush()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PLAN["certificate"])
            try:
                secured = context.wrap_socket(self.request, server_side=True)
            except (ssl.SSLError, OSError):
                return
            self.rfile, self.wfile = secured.makefile("rb"), secured.makefile("wb")
            if not self.head():
                return
        reply = REPLIES.pop(0) if len(REPLIES) > 1 else REPLIES[0]
        if isinstance(reply, int):
            self.answer(reply)
        elif reply.startswith("http"):
            self.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {reply}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            self.wfile.flush()
        else:
            self.answer(200, Path(reply).read_bytes())


class Server(socketserver.ThreadingTCPServer):
    """The port on which both are asked."""

    allow_reuse_address = True
    daemon_threads = True


time.sleep(PLAN.get("after", 0))
with Server(("127.0.0.1", int(sys.argv[1])), Neighbour) as server:
    Path("/listening").touch()
    server.serve_forever()
