"""WebSocket clients that others have written talk to the demo, while its workers are killed and replaced.

python3 tests/clients/clients_test.py BUILD_FOLDER NODE_FOLDER
NODE_FOLDER: where npm has installed ws."""
import os
import pathlib
import shutil
import subprocess
import sys

from demo_server import Server, place_for

HERE = pathlib.Path(__file__).parent


def main():
    build, node_folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    # Modules are looked for beside the script. /usr/bin: Debian's package is for Debian's Python.
    shutil.copy(HERE / "ws_client.mjs", node_folder)
    clients = [["node", f"{node_folder}/ws_client.mjs"], ["/usr/bin/python3", str(HERE / "websockets_client.py")]]
    with place_for("clients") as (folder, redis):
        server = Server(build, f"{folder}/server", redis)
        pinging = Server(build, f"{folder}/pinging", redis, options=["--websocket-ping", "5s"])
        for command in clients:
            environment = {**os.environ, "URL": server.url, "PINGING": pinging.url,
                           "PRONGHORN": server.program, "CONTROL": server.control_socket}
            subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL, timeout=600)
    print("clients: passed")


if __name__ == "__main__":
    main()
