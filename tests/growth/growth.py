"""Whether every parser of client bytes is linear: twice the input must cost about twice the instructions (callgrind),
which do not depend on the noise of the machine. A parser that is quadratic lets a client stop a worker with one request.

python3 tests/growth/growth.py build/tests/growth/parser_growth"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

MOST = 2.5  # quadratic work is 4 times as much
SKIPPED = 77


def count(program):
    """Instructions by "case size"."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="pronghorn-growth-") as folder:
        subprocess.run(["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program], check=True)
        for path in pathlib.Path(folder).iterdir():
            name, total = None, 0
            for line in path.read_text().splitlines():
                if line.startswith("desc: Trigger: Client Request: "):
                    name = line.removeprefix("desc: Trigger: Client Request: ")
                elif line.startswith("totals: "):
                    total = int(line.split()[1])
            if name:
                figures[name] = total
    return figures


def main():
    if shutil.which("valgrind") is None:
        print("growth: skipped: valgrind is not installed (./scripts/setup bench)")
        return SKIPPED
    figures = count(sys.argv[1])
    cases = {name.rsplit(" ", 1)[0] for name in figures}
    failed = not cases
    for case in sorted(cases):
        sizes = sorted(int(name.rsplit(" ", 1)[1]) for name in figures if name.rsplit(" ", 1)[0] == case)
        small, large = (figures[f"{case} {size}"] for size in sizes)
        growth = large / small
        wrong = growth > MOST
        failed |= wrong
        print(f"{case:48} {small:12,} {large:12,}  x {growth:.2f}{'  NOT LINEAR' if wrong else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
