"""HTTP/2 by h2load, without TLS and with it: servers, and what a request costs."""
import pathlib
import re
import subprocess

import processes
import servers

CONNECTIONS, STREAMS = 10, 100
WARM_UP_SECONDS = 2


class Http2Server(servers.Server):
    """One that may speak nothing but HTTP/2."""

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}{self.target}"

    def ask(self, target=None, headers=""):
        done = subprocess.run(["curl", "-sSk", "--http2-prior-knowledge", "-w", "\n%{http_code}", self.url],
                              capture_output=True)
        if done.returncode != 0:
            raise OSError(done.stderr.decode())
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), "", body, len(done.stdout)


def _http2(server, name, arguments=()):
    command = server._command
    return Http2Server(name, lambda port, folder: [*command(port, folder), *arguments], server._env, server.target,
                       server.expected, server.scheme)


def _edited(server, name, old, new):
    """The same with one change to its configuration, which is the last word of its command."""
    before = server._command

    def command(port, folder):
        words = before(port, folder)
        text = words[-1].read_text()
        if old not in text:
            raise RuntimeError(f"{words[-1]} has no \"{old}\"")
        words[-1].write_text(text.replace(old, new))
        return words
    return Http2Server(name, command, server._env, server.target, server.expected, server.scheme)


def _nginx(server, name):
    """nginx listens for HTTP/2 alone, where it does; over TLS, for both."""
    return _edited(server, name, " backlog=4096;", " backlog=4096 http2;")


def candidates(build, folder):
    """The small response of Pronghorn and nginx, and a file of 1 KiB, because h2o serves files; then both over TLS."""
    ours = ["--http2-cleartext", "true", "--keep-alive-requests", "0"]
    small = {server.name: server for server in servers.hello_servers(build)}
    files = {server.name: server for server in servers.file_servers(build, folder, "1KiB.txt", 1024)}
    return [
        _http2(small["pronghorn"], "pronghorn", ours),
        _nginx(small["nginx"], "nginx"),
        _http2(files["pronghorn"], "pronghorn_file", ours),
        _nginx(files["nginx"], "nginx_file"),
        _http2(files["h2o"], "h2o_file"),
        *_by_tls(build, folder, files),
    ]


def _by_tls(build, folder, files):
    settings = {"BENCH_FILES": str(pathlib.Path(folder) / "files")}
    target, expected = files["h2o"].target, files["h2o"].expected
    small = {server.name: server for server in servers.tls_servers(build, folder)}
    file = {server.name: server for server in servers.tls_servers(build, folder, target, expected, settings)}
    h2o = _edited(files["h2o"], "h2o_tls_file", "      port: ",
                  f"      ssl:\n        certificate-file: {folder}/certificate.pem\n"
                  f"        key-file: {folder}/certificate.key\n      port: ")
    h2o.scheme = "https"
    return [
        _http2(small["pronghorn"], "pronghorn_tls"),
        _nginx(small["nginx"], "nginx_tls"),
        _http2(file["pronghorn"], "pronghorn_tls_file"),
        _nginx(file["nginx"], "nginx_tls_file"),
        h2o,
    ]


def run_h2load(server, seconds, core):
    command = ["taskset", "-c", str(core), "h2load", "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-D{seconds}",
               server.url]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True,
                            preexec_fn=processes.die_with_parent).stdout
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    succeeded, *failures = map(int, counts.groups())
    if any(failures) or succeeded == 0 or "Application protocol: h2" not in output:
        raise RuntimeError(f"{server.name}: h2load said\n{output}\n{server.log.read_text()[-2000:]}")
    return succeeded


def measure(server, seconds, core):
    """One round: requests per second, CPU per request."""
    cpu = processes.cpu_ns(server.process.pid)
    requests = run_h2load(server, seconds, core)
    cpu = processes.cpu_ns(server.process.pid) - cpu
    return {"requests_per_s": requests / seconds, "cpu_us": cpu / 1000 / requests}
