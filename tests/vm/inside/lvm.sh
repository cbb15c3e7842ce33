#!/bin/bash
# lvm.sh - inside a virtual machine: volumes on logical volumes, thick and thin, on the machine's own disk.
# shellcheck source-path=SCRIPTDIR source=../../storage/lib.sh
. "$(dirname "$0")/../../storage/lib.sh"
plan 48

# shellcheck disable=SC2154 # lib.sh
P=$work/p
make_fs p ext4 512M

disk=$(readlink -f /dev/vm/disk)
wipefs -qa "$disk"
pvcreate -q "$disk" >/dev/null
vgcreate -q tvg "$disk" >/dev/null
cleanup vgremove -q -f tvg
lvcreate -q -y -L 2G -T tvg/thin >/dev/null 2>&1

settings() {
	[ -d "$P/.wherry" ] || mkdir -m 700 "$P/.wherry"
	printf '%s\n' "$@" >"$P/.wherry/pool.conf"
}

lvm() { DRIVER=lvm vol p "$@"; }
volumes() { lvs --noheadings -o lv_name tvg | xargs -n 1 | grep -c '^wherry-' || true; }
mounted() { findmnt -rn -o FSTYPE --mountpoint "$P/$1"; }

settings "size = 300M"
fails invalid "a pool without a volume group" lvm create web rootfs
settings "vg = none"
ok "one that is not there" test "$(lvm create web rootfs 2>/dev/null || echo failed)" = failed
is "$(find "$P" -name 'web*')" "" "nothing is left of it"

for vg in tvg tvg/thin; do
	for fs in ext4 xfs; do
		settings "vg = $vg" "size = 400M" "fs = $fs"
		what="$vg, $fs"
		ok "$what: a volume is made" lvm create web rootfs
		is "$(mounted web/rootfs),$(volumes)" "$fs,1" "$what: it is mounted, on a logical volume"
		like "$(lvm space x x)" '^lvm [0-9]+ [0-9]+ ' "$what: the space is known"
		echo content >"$P/web/rootfs/file"
		ok "$what: it is unmounted" lvm unmount web rootfs
		lv=$(lvm device web rootfs)
		lvchange -q -an "${lv#/dev/}"
		ok "$what: its script activates and mounts it" /bin/sh "$P/web/rootfs.mount"
		is "$(cat "$P/web/rootfs/file")" content "$what: its files are there"
		ok "$what: it is destroyed" lvm destroy web rootfs
		is "$(volumes),$(find "$P" -name 'web*')" "0," "$what: nothing is left"
	done
done

settings "vg = tvg" "size = 200G"
ok "no room for it" test "$(lvm create web rootfs 2>/dev/null || echo failed)" = failed
is "$(volumes),$(find "$P" -name 'web*')" "0," "nothing is left of it"

# --- published, and held by others
settings "vg = tvg/thin" "size = 300M"
lvm create @0123 rootfs
echo arrived >"$P/.wherry/staged/0123/rootfs/file"
ok "one that is staged is published" lvm publish web rootfs 0123
is "$(cat "$P/web/rootfs/file")" arrived "with its files"
lvm unmount web rootfs
dev=$(lvm device web rootfs)
# Something else on top of it.
dmsetup create twherry --table "0 $(blockdev --getsz "$dev") linear $dev 0"
fails busy "one that is in use below another device is not destroyed" lvm destroy web rootfs
ok "it stays" test -b "$dev"
dmsetup remove twherry
ok "afterwards it is" lvm destroy web rootfs

# --- a device of the operator's that is part of a volume group
fails busy "a physical volume is not taken" env DEVICE="$disk" "$BUILD/tests/storage/volctl" "$P" create web rootfs
lvcreate -q -y -L 300M -n given tvg >/dev/null
ok "a logical volume is, as a device" env DEVICE=/dev/tvg/given "$BUILD/tests/storage/volctl" "$P" create web rootfs
is "$(mounted web/rootfs)" ext4 "it is mounted"
like "$(sed -n "s/^source='\(.*\)'/\1/p" "$P/web/rootfs.mount")" '^/dev/disk/by-id/' "it is known by a name that stays"
ok "destroyed" vol p destroy web rootfs
is "$(blkid -p /dev/tvg/given)" "" "it is blank again"
