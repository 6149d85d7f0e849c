"""The real services of one test ring, on free ports, with scratch data in a
temporary folder. Owns the processes it starts and ends them in reverse order.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-000"


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what: str, look, seconds: float = 20):
    """What `look` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {seconds} s")
        time.sleep(0.05)
    return seen


class Webhooks:
    """Receives what the server sends and keeps it as it came."""

    def __init__(self, record):
        webhooks = self
        self.events: list[dict] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                record({"kind": "webhook", "path": self.path, "headers": dict(self.headers.items()), "body": body})
                webhooks.events.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/livekit/webhook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def names(self, room: str) -> list[str]:
        """The events of a room in order, an egress with its status."""
        seen = []
        for event in list(self.events):
            egress = event.get("egressInfo", {})
            if room in (event.get("room", {}).get("name"), egress.get("roomName")):
                seen.append(" ".join(filter(None, [event["event"], egress and egress.get("status", "EGRESS_STARTING")])))
        return seen

    def wait(self, room: str, name: str, seconds: float = 40) -> None:
        wait_for(f"webhook {name} of {room}", lambda: name in self.names(room), seconds)


class Ring:
    def __init__(self, tools: dict[str, str], record=lambda _: None):
        self.tools = tools
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="reelkeeper-stack-"))
        self.root = self.folder / "blobs"
        self.webhooks = Webhooks(record)
        self.redis_port, self.port = free_port(), free_port()
        self.started: list[subprocess.Popen] = []

    def __enter__(self) -> "Ring":
        return self

    def __exit__(self, failed, *_) -> None:
        for process in reversed(self.started):
            end(process)
        self.webhooks.server.shutdown()
        if failed:
            print(f"logs are in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def log(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.log"

    def start(self, name: str, *command, ready: str | None = None) -> subprocess.Popen:
        """Starts a process; `ready` is the line that says it is of use."""
        with self.log(name).open("w") as log:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.started.append(process)

        def look() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name).read_text()[-2000:]}")
            return ready is None or ready in self.log(name).read_text()

        wait_for(f"{name} ready", look)
        return process

    def start_redis(self) -> None:
        self.start("redis", self.tools["REDIS_SERVER"], "--port", self.redis_port, "--bind", "127.0.0.1",
                   "--save", "", "--appendonly", "no", "--dir", self.folder, ready="Ready to accept connections")

    def start_livekit(self) -> None:
        config = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {"tcp_port": free_port(), "udp_port": free_port(socket.SOCK_DGRAM),
                    "use_external_ip": False, "node_ip": "127.0.0.1"},
            "redis": {"address": f"127.0.0.1:{self.redis_port}"},
            "keys": {KEY: SECRET},
            "webhook": {"api_key": KEY, "urls": [self.webhooks.url]},
        }
        file = self.folder / "livekit.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        self.start("livekit", self.tools["LIVEKIT_SERVER"], "--config", file, ready="starting LiveKit server")
        wait_for("livekit listens", self.listens)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start_worker(self, mode: str = "light", *options: str, name: str = "worker") -> subprocess.Popen:
        return self.start(name, self.tools["EGRESS_WORKER"], "--mode", mode, "--redis", f"127.0.0.1:{self.redis_port}",
                          "--url", self.url, "--key", KEY, "--secret", SECRET, "--root", self.root, *options, ready="ready\n")

    def start_publisher(self, room: str, identity: str = "publisher") -> subprocess.Popen:
        return self.start(f"publisher-{room}", self.tools["PYTHON"], self.tools["PUBLISHER"], "--url", self.url, "--key", KEY,
                          "--secret", SECRET, "--room", room, "--identity", identity, ready="published")


def end(process: subprocess.Popen) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
