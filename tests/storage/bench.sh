#!/bin/bash
# bench.sh [ROUNDS] - the first copy of 200,000 small files from btrfs to btrfs, both ways in turn: ours, and btrfs send
# into btrfs receive, each until it is on disk. Prints medians; DIRS=2000 FILES=100 say how many.
. "$(dirname "$0")/lib.sh"
plan 1

rounds=${1:-3}
make_fs a btrfs 8G
vol a create web rootfs
python3 - "$work/a/web/rootfs" "${DIRS:-2000}" "${FILES:-100}" <<'EOF'
import os
import random
import sys

root, dirs, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(1)
blob = os.urandom(1 << 20)
for d in range(dirs):
    path = f"{root}/d{d // 50}/s{d}"
    os.makedirs(path)
    for f in range(files):
        n = random.randint(1024, 8192)
        at = random.randint(0, len(blob) - n)
        with open(f"{path}/file-{f}", "wb") as out:
            out.write(blob[at:at + n])
            if (d + f) % 4 == 0:
                os.fchown(out.fileno(), 1000, 1000)
EOF
vol a snapshot web rootfs wherry-1
sync -f "$work/a"

ours() {
	vol a send web rootfs wherry-1 - | vol b receive @tok rootfs wherry-1 - "$work/state"
	sync -f "$work/b"
}

theirs() {
	btrfs -q send --proto 2 "$work/a/.wherry/snap/web/rootfs/wherry-1" | btrfs -q receive "$work/b"
	sync -f "$work/b"
}

busy() { # jiffies of the whole machine
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

for ((i = 0; i < rounds; i++)); do
	for who in ours theirs; do
		make_fs b btrfs 8G
		cat "$work/a/web/rootfs"/d0/*/* >/dev/null
		begun=$(date +%s%N)
		cpu=$(busy)
		$who
		echo $((($(date +%s%N) - begun) / 1000000)) >>"$work/$who.ms"
		echo $(($(busy) - cpu)) >>"$work/$who.cpu"
		diag "$who: $(tail -n1 "$work/$who.ms") ms, $(tail -n1 "$work/$who.cpu") jiffies of CPU (all of the machine's)"
		umount "$work/b"
		rm "$work/b.img"
		unset '_tap_cleanups[-1]'
	done
done
diag "medians: ours $(median "$work/ours.ms") ms, theirs $(median "$work/theirs.ms") ms"
ok "measured" [ -s "$work/theirs.ms" ]
