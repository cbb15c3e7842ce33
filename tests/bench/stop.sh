#!/bin/bash
# How long a container is down while it is sent: a busybox container with FILES small files from ext4 to ext4, in a lab
# of its own. Prints the stop of each send, how long of it the container took to go down (its phase "stop"), how long it
# takes to come up by itself, and the rest, which is ours.
#
#   FILES=200000 RUNS=3 tests/bench/stop.sh        # root
set -eu
cd "$(dirname "$0")/../lab"
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. ../tap.sh
# shellcheck source-path=SCRIPTDIR source=../lab/lib.sh
. ../lab/lib.sh
FILES=${FILES:-200000} RUNS=${RUNS:-3}

ms() { # CMD...
	local from to
	from=$(date +%s%N)
	"$@" >/dev/null 2>&1
	to=$(date +%s%N)
	echo $(((to - from) / 1000000))
}
up() { # NODE: until init runs
	on "$1" lxc-start -n web && wait_for 10 on "$1" lxc-attach -n web -- true
}

POOLS="" lab_up >/dev/null
trust a b
trust b a
make_ct a web --busybox --address 10.99.0.101
on a python3 - "$(ct_root a web)/srv/data" "$FILES" <<'END'
import os, random, sys
top, n = sys.argv[1], int(sys.argv[2])
data = os.urandom(1 << 20)
for d in range((n + 99) // 100):
    path = f"{top}/d{d // 50}/e{d}"
    os.makedirs(path)
    for i in range(min(100, n - d * 100)):
        size, at = random.randint(1024, 8192), random.randint(0, 1 << 19)
        with open(f"{path}/file-{i}", "wb") as f:
            f.write(data[at:at + size])
END
on a wherry --quiet ct start web
wait_counter a web
sleep 2
on a lxc-stop -n web
boot=$(ms up a)
printf '%-10s %8s %8s %8s %8s   %s\n' send stop_ms down_ms boot_ms ours_ms phases
from=a to=b
for ((i = 1; i <= RUNS; i++)); do
	wait_counter "$from" web
	report=$(on "$from" wherry --json --quiet ct send web "$to")
	python3 - "$i" "$report" "$boot" <<'END'
import json, sys
r = json.loads(sys.argv[2].splitlines()[-1])
r = r.get("result", r)
boot, stop = int(sys.argv[3]), r["stop_ms"]
down = sum(p["ms"] for p in r["phases"] if p["phase"] == "stop")
print("%-10s %8d %8d %8d %8d   %s" % (sys.argv[1], stop, down, boot, stop - down - boot,
      " ".join("%s=%d" % (p["phase"], p["ms"]) for p in r["phases"])))
END
	sleep 3
	read -r from to <<<"$to $from"
done
