"""The rooms page of the demo in two browser windows, while their workers are killed, replaced and scaled away; and over
HTTP/2, where all windows share one connection.

python3 tests/browser/rooms_test.py BUILD_FOLDER [FOLDER_FOR_SCREENSHOTS]"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.request

import chromium

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "clients"))
from demo_server import DEADLINE, Server, check, place_for  # noqa: E402: the folder is known only now

TEXTS = "[...document.querySelectorAll('#said li span')].map(line => line.textContent.trim())"


# The page keeps the latest lines only: on a slow machine one could be gone before it is looked for.
REMEMBER = """var heard = new Set();
    const hear = (lines) => lines.forEach((line) => heard.add(line.querySelector('span')?.textContent.trim()));
    new MutationObserver((changes) => changes.forEach((change) => hear(change.addedNodes))).observe(
        byId('said'), {childList: true});
    hear(byId('said').childNodes)"""


def has(page, text):
    page.wait(f"heard.has({json.dumps(text)})")


def say(page, text):
    page.run(f"byId('text').value = {json.dumps(text)}; byId('write').requestSubmit()")


def check_never_disconnected(pages):
    for page in pages:
        check(page.run("byId('state').textContent") == "open", "the connection is open")
        check(page.run("byId('reconnects').textContent") == "0", "no page had to connect again")


def talks(ada, bob, text):
    say(ada, f"{text}, says ada")
    say(bob, f"{text}, says bob")
    for page in (ada, bob):
        has(page, f"{text}, says ada")
        has(page, f"{text}, says bob")


def test_looks(page, url, width):
    check(page.run("document.documentElement.scrollWidth") <= width, f"nothing is wider than {width} px")
    check(all(asked.startswith((url, "data:")) for asked in page.requested), f"no other host: {page.requested}")


def test_survival(server, ada, bob):
    # A hundred messages a second, all the time.
    ada.run("var told = 0; var telling = setInterval(() => here.socket.send(`tick ${++told}`), 10)")
    talks(ada, bob, "before")
    for kills in range(3):
        for pid in server.pids():
            os.kill(pid, signal.SIGKILL)
            talks(ada, bob, f"after the kill of {pid}")
            server.wait_ready(2)
        for pid in server.pids():
            os.kill(pid, signal.SIGKILL)
        talks(ada, bob, f"after kill {kills} of all")
        server.wait_ready(2)
    server.control("reload", "--wait")
    talks(ada, bob, "after a reload")
    server.control("scale", "1")
    server.wait_ready(1)
    talks(ada, bob, "after a worker was scaled away")
    server.control("scale", "2")
    server.wait_ready(2)
    told = ada.run("clearInterval(telling), told")
    check_never_disconnected((ada, bob))
    for page in (ada, bob):
        has(page, f"tick {told}")
        ticks = [text for text in page.run(TEXTS) if text.startswith("tick ")]
        expected = [f"tick {number}" for number in range(1, told + 1)][-len(ticks):]  # the page shows the latest
        check(ticks == expected, f"every message once and in order, of {told}: {ticks}")
        check("missing" not in page.run("byId('said').textContent"), "no gap is told")
    workers = ada.run("here.workers")
    check(len(workers) > 1, f"the socket has moved: {workers}")
    print(f"rooms: {told} messages while ada's socket was on the workers {workers}")


def test_reconnect(build, folder, redis, server, ada, bob):
    """The server is away: both pages connect again, and get what was said meanwhile."""
    other = Server(build, f"{folder}/other", redis)
    port = server.port
    server.stop()
    for page in (ada, bob):
        page.wait("byId('state').textContent.startsWith('closed (1001') || byId('state').textContent === 'connecting …'")
    request = urllib.request.Request(other.url + "/live/room:lobby", method="POST", data=json.dumps(
        {"from": "x", "name": "eve", "text": "said meanwhile", "pid": 1}).encode())
    urllib.request.urlopen(request, timeout=DEADLINE).close()
    Server(build, f"{folder}/server", redis, port)
    for page in (ada, bob):
        page.wait("byId('state').textContent === 'open'")
        # More than one if it met the server while that was stopping.
        check(int(page.run("byId('reconnects').textContent")) >= 1, "reconnects are counted")
        has(page, "said meanwhile")
        check("missing" not in page.run("byId('said').textContent"), "no gap is told")
    talks(ada, bob, "after the restart")


def test_http2(build, folder, redis):
    """Over https the pages and their sockets are streams of one connection, which ends with its worker."""
    subprocess.run([f"{build}/pronghorn", "certificate", "--self-signed"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    log = f"{folder}/access"
    server = Server(build, f"{folder}/https", redis, options=(
        "--listen", "https://127.0.0.1:0", "--tls-certificate", f"{folder}/certificate.pem", "--tls-key",
        f"{folder}/certificate.key", "--access-log", log, "--access-log-format", "combined"))
    with chromium.Chromium(f"{folder}/chromium.log", ["--ignore-certificate-errors"]) as browser:
        ada, bob = (browser.open(f"{server.https_url}/rooms.html?name={name}") for name in ("ada", "bob"))
        for page in (ada, bob):
            page.wait("document.readyState === 'complete' && byId('state').textContent === 'open'")
            page.run(REMEMBER)
        talks(ada, bob, "over HTTP/2")
        handshakes = [line for line in pathlib.Path(log).read_text().splitlines() if '"GET /rooms/lobby?' in line]
        check(len(handshakes) == 2, f"both have connected: {handshakes}")
        check(all('HTTP/2.0" 200' in line for line in handshakes), f"over HTTP/2: {handshakes}")
        server.control("reload", "--wait")
        for page in (ada, bob):
            page.wait("Number(byId('reconnects').textContent) >= 1 && byId('state').textContent === 'open'")
        talks(ada, bob, "after a reload")
        for page in (ada, bob):
            check("missing" not in page.run("byId('said').textContent"), "no gap is told")
            check(not page.errors, f"no exceptions: {page.errors}")
    server.stop()


def main():
    build = os.path.abspath(sys.argv[1])
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    if chromium.find() is None:
        print("rooms: Chromium is not installed (./scripts/setup browser)", file=sys.stderr)
        return 1
    with place_for("rooms") as (folder, redis):
        server = Server(build, f"{folder}/server", redis)
        with chromium.Chromium(f"{folder}/chromium.log") as browser:
            ada = browser.open(f"{server.url}/rooms.html?name=ada", 390, 844)
            bob = browser.open(f"{server.url}/rooms.html", 1280, 800)
            ada.wait("document.readyState === 'complete' && byId('state').textContent === 'open'")
            bob.wait("document.readyState === 'complete' && byId('room').value === 'lobby'")
            for page in (ada, bob):
                page.run(REMEMBER)
            bob.run("byId('name').value = ''; byId('name').focus()")
            bob.write("bob")
            bob.wait("byId('state').textContent === 'open'")
            bob.write("Grüße an alle 🦌")  # the focus is on the message
            for page in (ada, bob):
                has(page, "Grüße an alle 🦌")
                page.wait("byId('count').textContent === '2'")
                page.wait("['(ada, bob)', '(bob, ada)'].includes(byId('names').textContent)")
            test_survival(server, ada, bob)
            test_looks(ada, server.url, 390)
            test_looks(bob, server.url, 1280)
            if pictures:
                ada.screenshot(f"{pictures}/rooms-390.png")
                bob.screenshot(f"{pictures}/rooms-1280.png")
            test_reconnect(build, folder, redis, server, ada, bob)
            for page in (ada, bob):
                check(not page.errors, f"no exceptions: {page.errors}")
        test_http2(build, folder, redis)
    print("rooms: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
