"""The servers that are compared, each on a free port of 127.0.0.1 and pinned to one core."""
import os
import pathlib
import socket
import ssl
import subprocess

import processes

HERE = pathlib.Path(__file__).parent
HELLO = b"Hello, World!"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exchange(connection, target, headers=""):
    """One request on an open socket: (status, head as text, body, size of the whole answer)."""
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    while len(body) < length:
        body += _receive(connection)
    return int(head.split()[1]), head.decode(), body, len(head) + 4 + len(body)


def _receive(connection):
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("the server closed the connection")
    return received


class Server:
    """One running server. Use as a context manager."""

    def __init__(self, name, command, env=None, target="/", expected=HELLO, scheme="http"):
        """`command`: a function from a port and a folder for files to the words of the command."""
        self.name, self.target, self.expected, self.scheme = name, target, expected, scheme
        self._command, self._env = command, env
        self.port = None
        self.process = None

    def start(self, folder, core, prefix=()):
        self.port = free_port()
        folder = pathlib.Path(folder) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        env = {**os.environ, **(self._env(folder) if self._env else {})}
        command = [*map(str, prefix), *map(str, self._command(self.port, folder))]
        self.process = processes.start(command, self.log, core, env)
        try:
            processes.wait_until(self._answers, f"{self.name} answering", seconds=60)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        if self.process:
            processes.stop(self.process)
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        if self.scheme == "http":
            return plain
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname="localhost")

    def ask(self, target=None, headers=""):
        with self.connect() as connection:
            return exchange(connection, target or self.target, headers)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with status {self.process.returncode}:\n{self.log.read_text()}")
        try:
            status, _, body, _ = self.ask()
        except OSError:
            return False
        if status != 200 or not body.startswith(self.expected):
            raise RuntimeError(f"{self.name} answered {status} {body[:200]!r}, not {self.expected!r}")
        return True


def pronghorn(build, workers=1, redis="none", target="/", expected=HELLO, name="pronghorn", settings=None, access_log=False,
              tls=()):
    """`settings`: variables that bench_app.cpp knows. `tls`: options of the certificate; without any, plain HTTP."""
    scheme = "https" if tls else "http"

    def command(port, _):
        address = f"https://127.0.0.1:{port}" if tls else f"127.0.0.1:{port}"
        return [build / "pronghorn", "serve", build / "bench/bench_app.so", "--listen", address, "--workers", workers,
                "--redis", redis, "--log-level", "warning", *tls]

    def env(folder):
        return {"PRONGHORN_RUNTIME_DIR": str(folder / "run"), "PRONGHORN_DATA_DIR": str(folder / "data"),
                "PRONGHORN_ACCESS_LOG": str(folder / "access.log") if access_log else "off", **(settings or {})}
    return Server(name, command, env, target, expected, scheme)


def tls_servers(build, folder, target="/", expected=HELLO, settings=None):
    """GET / over TLS, with one certificate: ECDSA on P-256, as most sites have."""
    certificate, key = pathlib.Path(folder) / "certificate.pem", pathlib.Path(folder) / "certificate.key"
    if not certificate.exists():
        subprocess.run([build / "pronghorn", "certificate", "--self-signed", "--certificate", certificate, "--key", key],
                       check=True, stdout=subprocess.DEVNULL)
    # As many requests per connection as nginx.conf allows: a handshake costs as much as many requests.
    arguments = ["--tls-certificate", certificate, "--tls-key", key, "--keep-alive-requests", 0]
    return [pronghorn(build, target=target, expected=expected, settings=settings, tls=arguments),
            Server("nginx", _configured("nginx_tls"), None, target, expected, "https")]


def demo(build, name, arguments):
    """The demo application with one worker, for its routes that use the CPU."""
    def command(port, folder):
        return [build / "pronghorn", "serve", build / "examples/demo.so", "--listen", f"127.0.0.1:{port}", "--workers",
                1, "--redis", "none", "--log-level", "warning", "--runtime-dir", folder / "run", "--data-dir",
                folder / "data", *arguments]
    return Server(name, command, target="/hello", expected=HELLO)


def _configured(program):
    """The command of a server whose configuration is made from a file of this folder, `program`.conf."""
    def command(port, folder):
        text = (HERE / f"{program}.conf").read_text()
        for name, value in {"PORT": port, "DIR": folder, "FILES": folder.parent / "files"}.items():
            text = text.replace(f"@{name}@", str(value))
        conf = folder / f"{program}.conf"
        conf.write_text(text)
        return ["h2o", "-c", conf] if program == "h2o" else ["nginx", "-p", folder, "-c", conf]
    return command


def hello_servers(build, close=False):
    """All servers that answer GET / with HELLO; rawepoll needs to know if each response ends its connection."""
    raw = [build / "bench/rawepoll"]
    return [
        Server("rawepoll", lambda port, _: [*raw, port] + (["close"] if close else [])),
        Server("uv_llhttp", lambda port, _: [build / "bench/uv_llhttp", port]),
        pronghorn(build),
        Server("nginx", _configured("nginx")),
        Server("node", lambda port, _: ["node", HERE / "node_hello.mjs", port]),
    ]


def session_servers(build, redis_socket):
    """GET /session: a rate limit and a counter in the session, both in the same Redis."""
    program = build / "bench/node_session/server.mjs"
    node = Server("node_session", lambda port, _: ["node", program, port, 1, redis_socket],
                  lambda _: {"NODE_ENV": "production"}, "/session", b'{"visits":')
    bare = Server("uv_redis", lambda port, _: [build / "bench/uv_redis", port, redis_socket], None, "/session",
                  b'{"visits":')
    return [pronghorn(build, 1, f"unix:{redis_socket}", "/session", b'{"visits":'), bare, node]


def cluster_servers(build, server, cluster):
    """GET /session with Redis at the address `server`, and at `cluster`."""
    return [pronghorn(build, 1, redis, "/session", b'{"visits":', name)
            for name, redis in (("one_redis", server), ("redis_cluster", cluster))]


def local_copies(build, redis_socket):
    """The same response from a plain function, and from the worker's own copy of what the cache has."""
    return [pronghorn(build, 1, f"unix:{redis_socket}", target, name=name)
            for name, target in (("plain", "/plain"), ("local_copy", "/local"))]


def file_servers(build, folder, name, size):
    """GET of a file of `size` bytes, which is created in the subfolder that the configurations name."""
    files = pathlib.Path(folder) / "files"
    files.mkdir(exist_ok=True)
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    (files / name).write_bytes(content)
    target = f"/files/{name}"
    return [
        pronghorn(build, target=target, expected=content, settings={"BENCH_FILES": str(files)}),
        Server("h2o", _configured("h2o"), None, target, content),
        Server("nginx", _configured("nginx"), None, target, content),
    ]


def with_routes(build):
    """The same route among 5 and among 500."""
    return [pronghorn(build, target="/api/items57/12345", name=f"routes_{count}", settings={"BENCH_ROUTES": str(count)})
            for count in (5, 500)]


def logging(build):
    """The same answers, without an access log and with one in a file."""
    return [pronghorn(build, name=f"log_{'file' if logs else 'off'}", access_log=logs) for logs in (False, True)]


def handlers(build):
    """The same response from a plain function and from a coroutine that awaits nothing."""
    return [pronghorn(build, target=f"/{name}", name=name) for name in ("plain", "async")]
