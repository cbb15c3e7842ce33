#!/bin/bash
# A first copy and an increment from btrfs to btrfs, as a send does them, against `btrfs send | ssh btrfs receive`; what is
# printed: lib.sh.
#
#   tests/bench/btrfs.sh [first] [increment]     # root
. "$(dirname "$0")/lib.sh"
volctl=$BUILD/tests/storage/volctl
snaps=.wherry/snap/web/rootfs

ours() {
	local origin to=$work/b/.wherry/snap/tok/rootfs/.filled
	origin=$("$volctl" "$work/a" origin web rootfs wherry-1) || return
	rm -f "$work/back"
	mkfifo "$work/back"
	# shellcheck disable=SC2094 # a way there and a way back
	"$treecp" send "$source" "$work/index" quiet final <"$work/back" |
		"${remote[@]}" "exec 3>&1 >/dev/null; $volctl $work/b fill @tok rootfs wherry-1 $origin make &&
			$treecp recv $to $work/state quiet >&3 && $volctl $work/b filled @tok rootfs wherry-1 $origin" >"$work/back"
	sync -f "$work/b"
}
by_btrfs_send() {
	btrfs -q send "$source" | "${remote[@]}" "btrfs -q receive $work/b/to"
	sync -f "$work/b"
}
ours_increment() {
	"$volctl" "$work/a" send web rootfs wherry-2 wherry-1 |
		"${remote[@]}" "$volctl $work/b receive @tok rootfs wherry-2 wherry-1"
	sync -f "$work/b"
}
peer_increment() {
	btrfs -q send -p "$work/a/$snaps/wherry-1" "$work/a/$snaps/wherry-2" | "${remote[@]}" "btrfs -q receive $work/b/to"
	sync -f "$work/b"
}
increments() {
	local i
	make_target btrfs
	by_btrfs_send && ours
	find "$work/a/web/rootfs" -type f | sort | shuf -n 100 --random-source=<(yes 1) | while read -r f; do echo 1 >>"$f"; done
	"$volctl" "$work/a" snapshot web rootfs wherry-2
	clear_times
	for ((i = 0; i < RUNS; i++)); do
		settle
		timed ours ours_increment
		settle
		timed by_btrfs_send peer_increment
		"$volctl" "$work/b" unsnapshot @tok rootfs wherry-2
		btrfs -q subvolume delete "$work/b/to/wherry-2" >/dev/null
	done
	line "100 files changed" by_btrfs_send
}

make_source btrfs
"$volctl" "$work/a" create web rootfs
small_files "$work/a/web/rootfs"
"$volctl" "$work/a" snapshot web rootfs wherry-1
source=$work/a/$snaps/wherry-1
want=" ${*:-first increment} "
header
case $want in *" first "*) first "btrfs, first copy, $FILES small files" btrfs by_btrfs_send by_rsync ;; esac
case $want in *" increment "*) increments ;; esac
