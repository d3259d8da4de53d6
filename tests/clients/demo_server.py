"""A Redis and servers of the demo, for tests that are written in Python."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

DEADLINE = 60


def check(fact, what):
    if not fact:
        raise AssertionError(what)


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {DEADLINE} s: {what}")
        time.sleep(0.02)


class Redis:
    def __init__(self, folder):
        self.socket = f"{folder}/redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder)
        wait_until(lambda: os.path.exists(self.socket), "Redis listens")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Server:
    started = []  # all of them, for whoever has to stop what a failed test has left

    def __init__(self, build, folder, redis, port=0, options=()):
        folder = pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        self.program = f"{build}/pronghorn"
        self.control_socket = f"{folder}/run/control.sock"
        self.log = folder / "log"
        begin = self.log.stat().st_size if self.log.exists() else 0
        command = [self.program, "serve", f"{build}/examples/demo.so", "--listen", f"127.0.0.1:{port}", "--workers", "2",
                   "--redis", f"unix:{redis.socket}", "--runtime-dir", f"{folder}/run", "--data-dir", f"{folder}/data"]
        with open(self.log, "ab") as output:
            self._process = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder)
        Server.started.append(self)

        def addresses():
            if self._process.poll() is not None:
                raise RuntimeError(f"the server has ended:\n{self.log.read_text()}")
            for line in self.log.read_text()[begin:].splitlines():
                if "listening on http://" in line:
                    return line.partition("listening on ")[2].partition(" with ")[0].split(" and ")
            return None

        self.url, *more = wait_until(addresses, "the server listens")
        self.https_url = next((url for url in more if url.startswith("https://")), None)
        self.wait_ready(2)

    @property
    def port(self):
        return urllib.parse.urlsplit(self.url).port

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=DEADLINE) as response:
            return json.load(response)

    def pids(self):
        return [worker["pid"] for worker in self.get("/status")["workers"] if worker["state"] == "ready"]

    def wait_ready(self, count):
        def ready():
            try:
                return len(self.pids()) == count
            except OSError:
                return False
        wait_until(ready, f"{count} workers are ready")

    def control(self, *command):
        done = subprocess.run([self.program, *command, "--control", self.control_socket], capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise RuntimeError(f"pronghorn {' '.join(command)}: {done.stdout}{done.stderr}")

    def stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=DEADLINE)


@contextlib.contextmanager
def place_for(name):
    """with place_for("rooms") as (folder, redis): a temporary folder, and a Redis in it. At the end all servers that
    were started are stopped; if the test fails, their logs are printed."""
    with tempfile.TemporaryDirectory(prefix=f"pronghorn-{name}-", ignore_cleanup_errors=True) as folder:
        redis = Redis(folder)
        try:
            yield folder, redis
        except BaseException:
            for each in Server.started:
                print(each.log.read_text(), file=sys.stderr)
            raise
        finally:
            for each in Server.started:
                each.stop()
            redis.stop()
