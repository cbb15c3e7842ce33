#!/bin/bash
# Volumes on filesystems of their own: kill -9 where something was made or removed and not yet noted. The same call
# again comes to its end, and destroying finds all of it.
. "$(dirname "$0")/lib.sh"
plan 32

# shellcheck disable=SC2154 # lib.sh
P=$work/p
make_fs p ext4 1G
truncate -s 300M "$work/disk"
dev=$(losetup -f --show "$work/disk")
cleanup detach
detach() {
	losetup -n -O NAME -j "$work/disk" | xargs -r -n 1 losetup -d
}

if ! strings "$BUILD/tests/storage/volctl" | grep -q storage.blockfs.recorded || [ -z "$(WHERRY_FAULT_TRACE=$work/trace DRIVER=image SIZE=100000000 vol p create x rootfs && cat "$work/trace" 2>/dev/null)" ]; then
	DRIVER=image vol p destroy x rootfs
	skip "needs: a build with fault points (meson -Dfaults=true)" 32
	exit 0
fi
DRIVER=image vol p destroy x rootfs

dies() { # POINT CMD...
	local point=$1 status=0
	shift
	(WHERRY_FAULT="$point:kill" "$@") >/dev/null 2>&1 || status=$?
	[ $status = 137 ]
}

left() {
	find "$P" -mindepth 1 ! -name lost+found ! -path "$P/.wherry" ! -path "$P/.wherry/staged"
	losetup -n -O BACK-FILE | grep "^$P/" || true
	grep -F " $P/" /proc/self/mounts || true
	blkid -p "$dev" || true
}

image() { DRIVER=image SIZE=100000000 vol p "$@"; }
device() { DEVICE=$dev vol p "$@"; }

for kind in image device; do
	for point in recorded made; do
		ok "$kind: create dies at $point" dies storage.blockfs.$point $kind create @tok rootfs
		ok "$kind, $point: again, it comes to its end" $kind create @tok rootfs
		is "$(findmnt -n -o FSTYPE "$P/.wherry/staged/tok/rootfs")" ext4 "$kind, $point: it is mounted"
		$kind destroy @tok rootfs
		ok "$kind: create dies at $point" dies storage.blockfs.$point $kind create @tok rootfs
		$kind destroy @tok rootfs
		is "$(left)" "" "$kind, $point: destroyed instead, nothing is left"
	done
	$kind create web rootfs
	ok "$kind: destroy dies before the record goes" dies storage.blockfs.removed $kind destroy web rootfs
	ok "$kind: again" $kind destroy web rootfs
	is "$(left)" "" "$kind: nothing is left"
	$kind create @tok rootfs
	echo file >"$P/.wherry/staged/tok/rootfs/file"
	ok "$kind: publish dies on its way" dies storage.publish.half $kind publish web rootfs tok
	ok "$kind: again" $kind publish web rootfs tok
	is "$(cat "$P/web/rootfs/file")" file "$kind: its files are there"
	$kind destroy web rootfs
done
