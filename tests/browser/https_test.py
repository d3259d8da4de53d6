"""The demo's pages over https: the browser speaks HTTP/2, also while a worker is replaced.

python3 tests/browser/https_test.py BUILD_FOLDER"""
import os
import pathlib
import subprocess
import sys

import chromium

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "clients"))
from demo_server import Server, check, place_for  # noqa: E402: the folder is known only now

PROTOCOLS = "['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind)).map(e => e.nextHopProtocol)"
MANY = "Promise.all([...Array(200).keys()].map(n => fetch(`/hello?${n}`, {cache: 'no-store'}).then(r => r.status)))"


def test_http2(browser, url):
    page = browser.open("about:blank")
    page.command("Security.setIgnoreCertificateErrors", {"ignore": True})
    page.command("Page.navigate", {"url": f"{url}/rooms.html?name=ada"})
    page.wait("document.readyState === 'complete' && byId('state')?.textContent === 'open'")
    check(page.run("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2", "the page came by HTTP/2")
    check(set(page.run(MANY)) == {200}, "many requests at the same time are answered")
    page.wait(f"{PROTOCOLS}.length > 200")
    protocols = set(page.run(PROTOCOLS))
    check(protocols == {"h2"}, f"everything came by HTTP/2: {protocols}")
    check(page.run("location.protocol") == "https:" and page.run("window.isSecureContext"), "the page is a secure one")
    page.run("byId('text').value = 'hello'; byId('write').requestSubmit()")
    page.wait("byId('said').textContent.includes('hello')")  # by its WebSocket
    return page


def test_reload(page, server):
    page.run("performance.clearResourceTimings(); performance.setResourceTimingBufferSize(10000); var failed = 0, told = 0;"
             "var asking = setInterval(() => fetch('/hello', {cache: 'no-store'})"
             "  .then(r => r.ok ? ++told : ++failed, () => ++failed), 10)")
    page.wait("told > 20")
    server.control("reload", "--wait")
    page.wait(f"told > {page.run('told') + 20}")
    page.run("clearInterval(asking)")
    check(page.run("failed") == 0, "no request fails while the workers are replaced")
    check("h2" in page.run(PROTOCOLS), "the requests are made by HTTP/2")


def main():
    build = os.path.abspath(sys.argv[1])
    with place_for("https") as (folder, redis):
        files = ["--certificate", f"{folder}/certificate.pem", "--key", f"{folder}/certificate.key"]
        subprocess.run([f"{build}/pronghorn", "certificate", "--self-signed", *files], check=True,
                       stdout=subprocess.DEVNULL)
        server = Server(build, f"{folder}/server", redis, options=[
            "--listen", "https://127.0.0.1:0", "--tls-certificate", files[1], "--tls-key", files[3]])
        with chromium.Chromium(f"{folder}/chromium.log") as browser:
            page = test_http2(browser, server.https_url)
            test_reload(page, server)
            check(not page.errors, f"no exceptions: {page.errors}")
        check(server.get("/status")["totals"]["http2"]["requests"] > 200, "the server has counted them")
    print("https: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
