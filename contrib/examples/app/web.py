"""A web application: several workers accept from one listening socket, which they inherit as descriptor 3 (sd_listen_fds(3))."""

import http.server
import os
import signal
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"hello from worker {sys.argv[1]}, process {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # what was accepted is answered before the end

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


def stop(_number: int, _frame: object) -> None:
    raise SystemExit(0)


if os.environ.get("LISTEN_FDS") != "1":
    sys.exit("web.py is started by unitd, which hands it the socket of web.socket")
listener = socket.socket(fileno=3)
listener.setblocking(False)  # another worker may be quicker to accept
signal.signal(signal.SIGTERM, stop)
print(f"worker {sys.argv[1]} accepts on {listener.getsockname()}", flush=True)
Server(listener).serve_forever()
