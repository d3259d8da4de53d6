"""Processes that the benchmark starts, pins to a core, measures and always stops."""
import ctypes
import os
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def cores():
    """(core of the servers, core of the client): two different ones if the machine has two."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def die_with_parent():
    """For preexec_fn: the child gets SIGTERM when this program ends for any reason."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, log, core=None, env=None):
    """Starts a process in a group of its own, so that Ctrl-C reaches only this program. Output goes to `log`."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    with open(log, "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env,
                                start_new_session=True, preexec_fn=die_with_parent)


def stop(process):
    """Asks a process to exit, waits, and kills the rest of its tree."""
    tree = process_tree(process.pid)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            pass
    for pid in tree:
        if pid == process.pid and process.poll() is not None:
            continue
        try:
            if _parent(pid) in (os.getpid(), *tree):
                os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            pass
    process.wait()


def _parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def process_tree(root):
    """`root` and all its descendants, parents first."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(_parent(entry), []).append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
    tree = [root]
    for pid in tree:
        tree.extend(children.get(pid, []))
    return tree


def cpu_ns(root):
    """CPU time that all threads of the tree have used so far."""
    total = 0
    for pid in process_tree(root):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                    total += int(stat.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def memory_kib(root):
    """Memory of the tree, pages that are shared counted once (PSS)."""
    total = 0
    for pid in process_tree(root):
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total


def private_dirty_kib(pid):
    """Memory that the process has written and shares with no other."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:"))


def status_kib(pid, field):
    """One of the memory figures of /proc/PID/status, such as VmRSS or VmHWM, its peak."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


def reset_peak(pid):
    """Resets VmHWM."""
    with open(f"/proc/{pid}/clear_refs", "w") as control:
        control.write("5")


def wait_until(condition, what, seconds=20.0, pause=0.01):
    """Calls condition() repeatedly and returns its first true value; TimeoutError names `what`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
