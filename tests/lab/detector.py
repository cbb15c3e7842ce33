#!/usr/bin/env python3
"""detector.py MAJ:MIN PID-OF-NODE... - says each moment in which more than one node has the device mounted.

A node is a process and all that share its pid namespace or live in one below. Every 5 ms the nodes' own mounts are read,
every 100 ms those of all their processes' mount namespaces (containers, workers). On SIGTERM it says how often it looked:
"looked N, twice M", M the number of looks in which two nodes had it."""
import os
import signal
import sys
import time

device, nodes = sys.argv[1], sys.argv[2:]
namespaces = {os.stat(f"/proc/{pid}/ns/pid").st_ino: pid for pid in nodes}
looked = twice = 0
ended = False


def end(*_):
    global ended
    ended = True


def has(pid):
    try:
        with open(f"/proc/{pid}/mountinfo") as f:
            return any(line.split()[2] == device for line in f)
    except OSError:
        return False


def node_of(pid):
    """Processes of a container are in a pid namespace below: their cgroup names the node."""
    try:
        ns = os.stat(f"/proc/{pid}/ns/pid").st_ino
        if ns in namespaces:
            return namespaces[ns]
        with open(f"/proc/{pid}/cgroup") as f:
            text = f.read()
    except OSError:
        return None
    for n in nodes:
        if cgroups[n] and cgroups[n] in text:
            return n
    return None


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup") as f:
        for part in f.read().replace("\n", "/").split("/"):
            if part.startswith("wherry-lab."):
                return part
    return ""


def everywhere():
    seen, found = set(), set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            ns = os.stat(f"/proc/{pid}/ns/mnt").st_ino
        except OSError:
            continue
        if ns in seen:
            continue
        seen.add(ns)
        if has(pid):
            node = node_of(pid)
            if node:
                found.add(node)
    return found


cgroups = {n: cgroup_of(n) for n in nodes}
signal.signal(signal.SIGTERM, end)
next_full = 0
while not ended:
    now = time.monotonic()
    if now >= next_full:
        have = everywhere()
        next_full = now + 0.1
    else:
        have = {n for n in nodes if has(n)}
    looked += 1
    if len(have) > 1:
        twice += 1
    time.sleep(0.005)
print(f"looked {looked}, twice {twice}", flush=True)
