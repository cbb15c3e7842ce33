#!/bin/bash
# Containers between two machines on ZFS, by ZFS's own streams and through the tree engine, broken and gone on, cancelled.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
plan 44
vm_lab a b
[ -n "${VM_STANDS:-}" ] || vm_up 2
vm_wherry a b
vm_pool a
vm_pool b
trust a b >/dev/null
trust b a >/dev/null
own_ids a b

datasets() { # MACHINE
	on "$1" zfs list -H -r -o name tank | xargs
}

snaps() { # MACHINE NAME
	on "$1" zfs list -H -d 1 -t snapshot -s createtxg -o name "tank/$2/rootfs" | sed 's/.*@//' | xargs
}

is "$(on a systemctl is-active wherryd)" active "systemd runs the daemon"

# --- there and back, by streams of ZFS
# The ids are the same on both, or the files would have to be gone through one by one.
make_ct a web --busybox --fs /srv/zfs
furnish_ct a web
on a zfs snapshot tank/web/rootfs@monday
on a zfs set refquota=800M tank/web/rootfs
on a wherry --quiet ct start web
moves "zfs to zfs" web a b --to-pool zfs
is "$(datasets a)" "tank tank/web" "zfs to zfs: of its datasets only what was made by hand is left"
on a zfs destroy tank/web
is "$(datasets b)" "tank tank/web tank/web/rootfs" "zfs to zfs: nor anything but the container there"
is "$(snaps b web)" "monday" "zfs to zfs: the user's snapshot came, ours are gone"
is "$(on b zfs get -H -o value refquota,canmount,mounted tank/web/rootfs | xargs)" "800M on yes" "zfs to zfs: its limit and its mount"
moves "and back" web b a --to-pool zfs
is "$(snaps a web)" "monday" "and back: with the snapshot"

# --- through the tree engine
moves "zfs to a folder" web a b
is "$(datasets a)" "tank" "zfs to a folder: no dataset is left"
moves "a folder to zfs" web b a --to-pool zfs
is "$(on a zfs get -H -o value canmount,mounted tank/web/rootfs | xargs)" "on yes" "a folder to zfs: its mount"

# --- cancelled after the data: both are as before
on a wherry --quiet ct send config web b --to-pool zfs
on a wherry --quiet ct send rootfs web
like "$(snaps a web)" '^wherry-' "half sent: our snapshot is there"
is "$(on a wherry --quiet ct send cancel web && echo cancelled)" cancelled "half sent: it is cancelled"
is "$(datasets b)" "tank" "half sent: nothing is left there"
is "$(snaps a web)" "" "half sent: nor our snapshots here"
is "$(running_on web)" a "half sent: it still runs here"

# --- the stream breaks: it goes on by ZFS's token
SIZE=48
on a dd if=/dev/urandom of=/srv/zfs/web/rootfs/data bs=1M count=$SIZE status=none
sum=$(on a sha256sum /srv/zfs/web/rootfs/data | cut -d' ' -f1)
on a zfs snapshot tank/web/rootfs@monday
on a zfs snapshot tank/web/rootfs@tuesday

came() { # MiB that b has had from the other machines
	# shellcheck disable=SC2016 # awk's
	on b awk '{ print int($1 / 1048576) }' /sys/class/net/eth1/statistics/rx_bytes
}

came_at_least() {
	[ "$(came)" -ge "$1" ]
}

kill_stream() { # PATTERN: on a
	on a pkill -9 -f "$1"
}

begin=$(came)
on a wherry --quiet ct send web b --to-pool zfs --from-snapshot @tuesday --bwlimit 4M >"$work/sent" 2>&1 </dev/null &
pid=$!
wait_for 120 came_at_least $((begin + SIZE / 2))
ok "broken: the connection is cut" kill_stream '[s]sh .*wherry-receive'
wait $pid || true
wait_for 120 came_at_least $((begin + SIZE)) || true
wait_for 60 test "$(running_on web)" = b || true
is "$(running_on web)" b "broken: it went on by itself and runs there"
sent=$(($(came) - begin))
diag "$sent MiB came for $SIZE MiB"
ok "broken: little was sent twice" [ "$sent" -le $((SIZE + SIZE / 4)) ]
is "$(on b sha256sum /srv/zfs/web/rootfs/data | cut -d' ' -f1)" "$sum" "broken: nothing was lost"
is "$(counter_holes b web)" "" "broken: its counter has no hole"
is "$(snaps b web)" tuesday "broken: the snapshots from the one on that was said"

# --- nested: their data come, too
on b zfs create tank/web/rootfs/deep
on b sh -c 'echo deep >/srv/zfs/web/rootfs/deep/file'
like "$(refusal b wherry ct send web a)" 'datasets nested in it' "nested: a folder cannot take it, which is said"
is "$(on b wherry --quiet ct send web a --to-pool zfs && echo sent)" sent "nested: a pool of ZFS can"
is "$(on a cat /srv/zfs/web/rootfs/deep/file)" deep "nested: the file is there"

# --- after a power cut it runs without Wherry
on a systemctl disable --now wherryd 2>/dev/null || true
on a lxc-stop web
on a zpool export tank
on a zpool import tank
ok "without Wherry: plain LXC starts it" on a lxc-start web
is "$(running_on web)" a "without Wherry: it runs"
