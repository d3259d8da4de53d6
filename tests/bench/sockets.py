"""WebSockets: echoes, a topic with many clients, idle sockets."""
import json
import resource
import subprocess

import processes
import servers

SOCKETS = 64
MEMBERS = 1000
PAUSE_US = 20_000  # between two messages to the topic
IDLE = 10_000
HELD = 50_000
HELD_SECONDS = 30  # in which each is pinged three times


def candidates(build, uwebsockets, redis_socket):
    """`uwebsockets`: the program built from uwebsockets.cpp; None: ws on Node alone."""
    settings = {"PRONGHORN_MAX_CONNECTIONS": "0", "PRONGHORN_OVERLOAD": "off"}
    node = servers.Server("node_ws", lambda port, _: ["node", build / "bench/node_ws/server.mjs", port],
                          lambda _: {"NODE_ENV": "production"})
    peers = [servers.Server("uwebsockets", lambda port, _: [uwebsockets, port])] if uwebsockets else []
    return [servers.pronghorn(build, redis=f"unix:{redis_socket}", settings=settings), *peers, node]


def measure(server, build, core, mode, sockets, seconds, argument):
    """One round: CPU of the server's processes per message that arrived."""
    command = ["taskset", "-c", core, build / "bench/socket_client", server.port, mode, sockets, seconds, argument]
    client = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                              preexec_fn=processes.die_with_parent)
    line = client.stdout.readline()
    cpu = processes.cpu_ns(server.process.pid)
    raise_unless(line.strip() == "begin", f"the client said {line!r}")
    figures = json.loads(client.stdout.readline())
    cpu = processes.cpu_ns(server.process.pid) - cpu
    raise_unless(client.wait() == 0, "the client failed")
    return {"messages_per_s": figures["messages"] / figures["seconds"], "cpu_us": cpu / 1e3 / figures["messages"]}


def raise_unless(true, text):
    if not true:
        raise RuntimeError(text)


def idle_memory(server, build, core):
    """KiB of one idle socket."""
    before = processes.memory_kib(server.process.pid)
    command = ["taskset", "-c", core, build / "bench/socket_client", server.port, "idle", IDLE]
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          preexec_fn=processes.die_with_parent) as client:
        client.stdout.readline()
        memory = processes.memory_kib(server.process.pid)
        client.stdin.close()
    return (memory - before) / IDLE


def held(build, folder, core):
    """Fifty thousand idle sockets of two workers, or of more where a process may not have 25,000 descriptors: KiB of
    each, CPU of a ping and its pong. Clients and servers share the cores."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    workers = max(2, -(-HELD * 11 // 10 // (most - 100)))  # the kernel does not share them out evenly
    settings = {"PRONGHORN_MAX_CONNECTIONS": "0", "PRONGHORN_OVERLOAD": "off", "PRONGHORN_WEBSOCKET_PING": "10s",
                "PRONGHORN_SURVIVAL_MEMORY": "64MiB"}
    server = servers.pronghorn(build, workers=workers, settings=settings, name="held")
    with server.start(folder, core):
        before = processes.memory_kib(server.process.pid)
        clients = []
        for number in range(workers):
            command = [build / "bench/socket_client", server.port, "hold", HELD // workers, HELD_SECONDS, number + 1]
            clients.append(subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                                            preexec_fn=processes.die_with_parent))
        for client in clients:
            raise_unless(client.stdout.readline().strip() == "begin", "a client could not open its sockets")
        memory = processes.memory_kib(server.process.pid) - before
        cpu = processes.cpu_ns(server.process.pid)
        pings = sum(json.loads(client.stdout.readline())["messages"] for client in clients)
        cpu = processes.cpu_ns(server.process.pid) - cpu
        raise_unless(all(client.wait() == 0 for client in clients), "a socket was closed")
    return {"sockets": HELD // workers * workers, "workers": workers, "kib": memory / HELD,
            "ping_us": cpu / 1e3 / pings}
