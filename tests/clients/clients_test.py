"""Clients that others have written talk to the demo: WebSocket clients, while its workers are killed and replaced, and
HTTP/2 clients.

python3 tests/clients/clients_test.py BUILD_FOLDER NODE_FOLDER
NODE_FOLDER: where npm has installed ws."""
import os
import pathlib
import shutil
import subprocess
import sys

from demo_server import Server, place_for

HERE = pathlib.Path(__file__).parent


def run(command, **environment):
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdin=subprocess.DEVNULL, timeout=600)


def websockets(build, node_folder, folder, redis):
    # Modules are looked for beside the script. /usr/bin: Debian's package is for Debian's Python.
    shutil.copy(HERE / "ws_client.mjs", node_folder)
    server = Server(build, f"{folder}/server", redis)
    pinging = Server(build, f"{folder}/pinging", redis, options=["--websocket-ping", "5s"])
    for command in ["node", f"{node_folder}/ws_client.mjs"], ["/usr/bin/python3", str(HERE / "websockets_client.py")]:
        run(command, URL=server.url, PINGING=pinging.url, PRONGHORN=server.program, CONTROL=server.control_socket)


def http2(build, folder, redis):
    certificate, key = f"{folder}/certificate.pem", f"{folder}/certificate.key"
    subprocess.run([f"{build}/pronghorn", "certificate", "--self-signed", "--certificate", certificate, "--key", key],
                   check=True, stdout=subprocess.DEVNULL)
    server = Server(build, f"{folder}/http2", redis, options=[
        "--listen", "https://127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key,
        "--http2-cleartext", "--overload", "off"])
    run([sys.executable, str(HERE / "http2_clients.py")], URL=server.url, HTTPS_URL=server.https_url)


def main():
    build, node_folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    with place_for("clients") as (folder, redis):
        websockets(build, node_folder, folder, redis)
        http2(build, folder, redis)
    print("clients: passed")


if __name__ == "__main__":
    main()
