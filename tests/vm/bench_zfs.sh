#!/bin/bash
# bench_zfs.sh - the first copy of a container between two machines on ZFS: by hand, `zfs send | ssh b zfs receive`, and
# by `wherry ct send rootfs`, in turns. Prints the seconds of each and the ratio of the medians. Not a test.
#
#   ROUNDS=3 SIZE=48 tests/vm/bench_zfs.sh		# MiB of data that cannot be compressed
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
ROUNDS=${ROUNDS:-3}
SIZE=${SIZE:-48}
plan 0
vm_lab a b
[ -n "${VM_STANDS:-}" ] || vm_up 2
vm_wherry a b
vm_pool a
vm_pool b
trust a b >/dev/null
make_ct a web --busybox --fs /srv/zfs
furnish_ct a web
on a dd if=/dev/urandom of=/srv/zfs/web/rootfs/data bs=1M count="$SIZE" status=none
# By hand, root goes to root.
on a sh -ec 'ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519
	ssh-keyscan -t ed25519 b 2>/dev/null >>/root/.ssh/known_hosts; cat /root/.ssh/id_ed25519.pub' |
	on b tee -a /root/.ssh/authorized_keys >/dev/null

seconds() { # CMD: in a
	# shellcheck disable=SC2016 # the machine's shell
	on a bash -ec 'begin=$EPOCHREALTIME; eval "$1" >&2; echo "$EPOCHREALTIME - $begin" | awk "{ print \$1 - \$3 }"' - "$1"
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

for _ in $(seq "$ROUNDS"); do
	seconds 'zfs snapshot tank/web/rootfs@hand
		zfs send -L -e -c tank/web/rootfs@hand | ssh b zfs receive -s -u tank/hand' >>"$work/hand"
	on a zfs destroy tank/web/rootfs@hand
	on b zfs destroy -r tank/hand
	on a wherry --quiet ct send config web b --to-pool zfs
	seconds 'wherry --quiet ct send rootfs web' >>"$work/ours"
	on a wherry --quiet ct send cancel web
done
diag "by hand: $(xargs <"$work/hand") s"
diag "wherry:  $(xargs <"$work/ours") s"
diag "ratio of the medians: $(echo "$(median "$work/ours") $(median "$work/hand")" | awk '{ printf "%.2f", $1 / $2 }')"
