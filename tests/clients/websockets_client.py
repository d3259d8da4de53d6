"""Python's package websockets talks to the demo: see clients_test.py, which sets URL, PINGING, PRONGHORN and CONTROL."""
import asyncio
import json
import os
import signal
import subprocess
import urllib.request

import websockets

HTTP, PINGING = os.environ["URL"], os.environ["PINGING"]
PROGRAM, CONTROL = os.environ["PRONGHORN"], os.environ["CONTROL"]


def connect(path, server=HTTP, ping_interval=None, **options):
    return websockets.connect(server.replace("http", "ws") + path, open_timeout=None, close_timeout=None,
                              ping_interval=ping_interval, max_size=None, **options)


def pids():
    request = urllib.request.Request(f"{HTTP}/status", headers={"Accept": "application/json"})
    with urllib.request.urlopen(request) as response:
        return [worker["pid"] for worker in json.load(response)["workers"] if worker["state"] == "ready"]


async def ready(count):
    while True:
        try:
            found = await asyncio.to_thread(pids)
            if len(found) == count:
                return found
        except OSError:
            pass  # the worker that would answer has been killed
        await asyncio.sleep(0.02)


async def test_echo_of_text_and_binary_compressed_and_not():
    for compression in ("deflate", None):
        async with connect("/echo/socket", compression=compression) as socket:
            assert bool(socket.extensions) == bool(compression)
            for text in ("hello", "", "Grüße 🦌", "x" * 125, "x" * 126, "y" * 65536, "z" * (1 << 20)):
                for message in (text, text.encode()):
                    await socket.send(message)
                    assert await socket.recv() == message


async def test_messages_in_fragments():
    for compression in ("deflate", None):
        async with connect("/echo/socket", compression=compression) as socket:
            await socket.send(f"part {number} " for number in range(200))
            assert await socket.recv() == "".join(f"part {number} " for number in range(200))
            await socket.send(bytes([number]) * 1000 for number in range(200))
            assert await socket.recv() == b"".join(bytes([number]) * 1000 for number in range(200))


async def test_pings_of_both_sides():
    async with connect("/echo/socket", PINGING) as socket:
        pong = await socket.ping(b"payload")
        await pong
        await socket.pong(b"nobody has asked")
        await asyncio.sleep(12)  # the server pings after 5 s of silence, and closes after 5 more without a pong
        await socket.send("still here")
        assert await socket.recv() == "still here"
    async with connect("/echo/socket", ping_interval=0.2) as socket:  # as by default, only more often
        await asyncio.sleep(1)
        assert socket.open


async def closed_with(path, act):
    async with connect(path, compression=None) as socket:
        await act(socket)
        await socket.wait_closed()
        return socket.close_code


async def test_close_codes():
    for code, reason in ((1000, ""), (1001, "leaving"), (3000, "x"), (4999, "y" * 123)):
        async with connect("/echo/socket") as socket:
            await socket.close(code, reason)
            assert socket.close_code == code, socket.close_code
    assert await closed_with("/echo/socket", lambda socket: socket.send(bytes((1 << 20) + 1))) == 1009
    assert await closed_with("/rooms/codes", lambda socket: socket.send(b"bytes")) == 1003


async def test_refused_handshakes():
    for path, options, status in (("/echo/socket", {"origin": "https://evil.example"}, 403), ("/hello", {}, 200),
                                  ("/rooms/x?name=%ff", {}, 400)):
        try:
            async with connect(path, **options):
                raise AssertionError(f"{path} was accepted")
        except websockets.InvalidStatusCode as error:
            assert error.status_code == status, error


async def test_rooms_go_on_whoever_is_killed_or_replaced():
    crowd = [await connect(f"/rooms/py-{os.getpid()}?name=py{number}", compression=("deflate", None)[number % 2])
             for number in range(8)]
    heard = 0

    async def talk(text):
        nonlocal heard
        for number, socket in enumerate(crowd):
            await socket.send(f"{text} from {number}")
        for socket in crowd:
            said = [json.loads(await socket.recv()) for _ in crowd]
            assert [message["offset"] for message in said] == [heard + 1 + number for number in range(len(crowd))]
            assert sorted(message["text"] for message in said) == [f"{text} from {i}" for i in range(len(crowd))]
        heard += len(crowd)

    await talk("before")
    for pid in await ready(2):
        os.kill(pid, signal.SIGKILL)
        await talk(f"without {pid}")
        await ready(2)
    for pid in pids():
        os.kill(pid, signal.SIGKILL)
    await talk("after the kill of all")
    await ready(2)
    await asyncio.to_thread(subprocess.run, [PROGRAM, "reload", "--wait", "--control", CONTROL], check=True,
                            stdout=subprocess.DEVNULL)
    await talk("after a reload")
    for socket in crowd:
        assert socket.open
        await socket.close()


async def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            await test()
            print(f"websockets: {name.removeprefix('test_').replace('_', ' ')}", flush=True)


asyncio.run(main())
