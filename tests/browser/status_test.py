"""The status page on a phone: what is zero is hidden, nothing is wider than the screen, each worker and route has one line.

python3 tests/browser/status_test.py BUILD_FOLDER [FOLDER_FOR_SCREENSHOTS]"""
import os
import pathlib
import re
import signal
import sys
import urllib.error

import chromium

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "clients"))
from demo_server import Server, check, place_for  # noqa: E402: the folder is known only now

WIDTH = 390
ALWAYS = {"Requests/s", "Requests", "Connections", "Received", "Sent", "Redis"}
CARDS = """Object.fromEntries([...document.querySelectorAll('#totals > div:not([hidden])')]
    .map(card => [card.firstChild.textContent, card.lastChild.textContent]))"""
SECTIONS = "[...document.querySelectorAll('section:not([hidden])')].map(part => part.id.replace('-part', ''))"
COLUMNS = """[...document.querySelectorAll('#workers thead th')].filter(cell => cell.offsetWidth > 0)
    .map(cell => cell.textContent)"""
LINES = "[...document.querySelectorAll('#workers tbody tr, #routes tbody tr')].map(line => line.offsetHeight)"
CUT = """[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)
    .map(box => box.ariaLabel)"""

POLLS = "performance.getEntriesByType('resource').length"


def totals(server):
    return server.get("/status?poll")["totals"]


def test_zeros_are_hidden(page):
    cards = page.run(CARDS)
    zeros = {name for name, value in cards.items() if re.match(r"0(\.0+)?( |$)", value)}
    check(zeros <= ALWAYS and ALWAYS <= cards.keys(), f"cards: {cards}")
    check(not {"5xx", "4xx", "Restarts", "Lost requests"} & cards.keys(), f"nothing is wrong: {cards}")
    check(page.run(SECTIONS) == ["workers"], f"no empty tables: {page.run(SECTIONS)}")
    check(not {"Restarts", "Sockets", "Stalls"} & set(page.run(COLUMNS)), f"columns: {page.run(COLUMNS)}")


def test_polling_is_not_counted(page, server):
    before, polls = totals(server)["requests"], page.run(POLLS)
    page.wait(f"{POLLS} >= {polls + 3}")
    check(totals(server)["requests"] == before, "the page's own requests are no traffic")


def test_what_happens_is_shown(page, server):
    for path in ("/hello", "/hello/Ann", "/nothing-is-here", "/users/7"):
        try:
            server.get(path)
        except (urllib.error.HTTPError, ValueError):  # 404, or not JSON
            pass
    os.kill(server.pids()[0], signal.SIGKILL)
    server.wait_ready(2)
    page.wait(f"'4xx' in {CARDS} && 'Restarts' in {CARDS} && {COLUMNS}.includes('Restarts')")
    page.wait(f"['workers', 'exits', 'routes'].every(part => {SECTIONS}.includes(part))")


def test_fits(page, url):
    check(page.run("document.documentElement.scrollWidth") <= WIDTH, f"nothing is wider than {WIDTH} px")
    check(not page.run(CUT), f"no table has to be moved sideways: {page.run(CUT)}")
    check(max(page.run(LINES)) < 40, f"each worker and route has one line: {page.run(LINES)} px")
    height = page.run("document.documentElement.scrollHeight")
    check(height < 2000, f"the page ends after {height} px")
    check(all(asked.startswith((url, "data:")) for asked in page.requested), f"no other host: {page.requested}")


def main():
    build = os.path.abspath(sys.argv[1])
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    with place_for("status") as (folder, redis):
        server = Server(build, f"{folder}/server", redis)
        with chromium.Chromium(f"{folder}/chromium.log") as browser:
            page = browser.open(f"{server.url}/status", WIDTH, 844)
            page.wait("document.readyState === 'complete' && byId('note').textContent === 'live'")
            check(page.run("document.querySelector('h1').textContent") == "demo", "the application's name is at the top")
            test_zeros_are_hidden(page)
            test_polling_is_not_counted(page, server)
            test_what_happens_is_shown(page, server)
            test_fits(page, server.url)
            if pictures:
                page.screenshot(f"{pictures}/status-{WIDTH}.png")
            check(not page.errors, f"no exceptions: {page.errors}")
    print("status: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
