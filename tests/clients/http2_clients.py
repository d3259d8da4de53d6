"""nghttp and h2load talk HTTP/2 to the demo, with TLS and without: see clients_test.py, which sets URL and HTTPS_URL."""
import hashlib
import os
import re
import subprocess
import tempfile

HTTP, HTTPS = os.environ["URL"], os.environ["HTTPS_URL"]
REQUESTS = 5000


def output_of(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def check_requests(url):
    assert b"Hello" in output_of("nghttp", f"{url}/hello")
    steps = output_of("nghttp", "-nv", f"{url}/hello", f"{url}/not-there").decode()
    assert re.search(r"recv .*:status: 200", steps) and re.search(r"recv .*:status: 404", steps), steps


def check_upload(url):
    with tempfile.NamedTemporaryFile() as body:
        body.write(os.urandom(900_000))
        body.flush()
        digest = hashlib.sha256(open(body.name, "rb").read()).digest()
        echo = output_of("nghttp", f"--data={body.name}", f"{url}/echo")
        assert hashlib.sha256(echo).digest() == digest, f"{len(echo)} bytes came back"


def check_load(url):
    said = output_of("h2load", f"-n{REQUESTS}", "-c8", "-m100", f"{url}/hello").decode()
    assert f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in said, said


for each in (HTTP, HTTPS):
    check_requests(each)
    check_upload(each)
    check_load(each)
print("http2: nghttp and h2load get what they ask for")
