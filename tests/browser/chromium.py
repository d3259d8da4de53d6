"""Drives headless Chromium over a pipe (DevTools protocol). Needs nothing but the browser and Python."""
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

# Without the flags about networking, Chromium talks to its maker's hosts.
_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding", "--remote-debugging-pipe",
]
_DEADLINE = 60  # seconds: of a machine that does a lot besides


def find():
    """The program; None if it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """with Chromium(log) as browser: page = browser.open(url)"""

    def __init__(self, log, flags=()):
        self._folder = tempfile.TemporaryDirectory(prefix="pronghorn-chromium-", ignore_cleanup_errors=True)
        its_input, self._to = os.pipe()
        self._from, its_output = os.pipe()
        # It reads from descriptor 3 and writes to 4. The ends may have these numbers already, the wrong way around.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (its_input, its_output)]

        def place_ends():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        with open(log, "ab") as output:
            self._process = subprocess.Popen([find(), *_FLAGS, *flags, f"--user-data-dir={self._folder.name}", "about:blank"],
                                             stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                             preexec_fn=place_ends, pass_fds=(3, 4), start_new_session=True)
        for end in (its_input, its_output, *ends):
            os.close(end)
        self._answers = {}
        self._changed = threading.Condition()
        self._ended = False
        self._last = 0
        self._pages = {}
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.command("Browser.close")
            self._process.wait(timeout=10)
        except Exception:
            pass
        try:
            os.killpg(self._process.pid, 9)
        except ProcessLookupError:
            pass
        self._process.wait()
        os.close(self._to)
        self._folder.cleanup()

    def open(self, url, width=1280, height=800):
        """Opens a page in a window of its own."""
        target = self.command("Target.createTarget", {"url": "about:blank", "newWindow": True})["targetId"]
        session = self.command("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session)
        self._pages[session] = page
        for domain in ("Page", "Runtime", "Network"):
            page.command(f"{domain}.enable")
        page.command("Emulation.setDeviceMetricsOverride",
                     {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        page.command("Page.navigate", {"url": url})
        return page

    def command(self, method, params=None, session=None):
        with self._changed:
            self._last += 1
            number = self._last
        message = {"id": number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _DEADLINE
        with self._changed:
            while number not in self._answers:
                if self._ended or not self._changed.wait(end - time.monotonic()):
                    raise RuntimeError(f"Chromium {'has ended' if self._ended else 'does not answer'}: {method}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _read(self):
        rest = b""
        while True:
            piece = os.read(self._from, 65536)
            if not piece:
                break
            *messages, rest = (rest + piece).split(b"\0")
            for text in messages:
                self._take(json.loads(text))
        os.close(self._from)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, message):
        if "id" in message:
            with self._changed:
                self._answers[message["id"]] = message
                self._changed.notify_all()
            return
        page = self._pages.get(message.get("sessionId"))
        if page is None:
            return
        if message["method"] == "Runtime.exceptionThrown":
            page.errors.append(json.dumps(message["params"]["exceptionDetails"])[:2000])
        elif message["method"] == "Network.requestWillBeSent":
            page.requested.append(message["params"]["request"]["url"])


class Page:
    def __init__(self, browser, session):
        self._browser = browser
        self._session = session
        self.errors = []  # exceptions that nobody caught
        self.requested = []  # URLs

    def command(self, method, params=None):
        return self._browser.command(method, params, self._session)

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.command("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script):
        """Waits until the expression is true."""
        end = time.monotonic() + _DEADLINE
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {_DEADLINE} s: {script}\n{self.run('document.body.innerText')}")
            time.sleep(0.02)

    def write(self, text):
        """Types into what has the focus, and presses Enter."""
        self.command("Input.insertText", {"text": text})
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", {"type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                                                    "windowsVirtualKeyCode": 13})

    def screenshot(self, path):
        import base64
        picture = self.command("Page.captureScreenshot", {"format": "png"})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))
