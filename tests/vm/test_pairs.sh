#!/bin/bash
# Containers between two machines, from and to logical volumes: with ZFS, folders, images and a device.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
plan 42
vm_lab a b
vm_up 2
vm_wherry a b
for n in a b; do
	# ZFS, LVM and a device of its own share the disk.
	# shellcheck disable=SC2016 # the machine's shell
	on "$n" sh -ec 'modprobe zfs
		disk=$(readlink -f /dev/vm/disk)
		printf ",3G\n,1G\n,\n" | sfdisk -q "$disk"
		udevadm settle
		pvcreate -q "${disk}1" >/dev/null
		vgcreate -q vg "${disk}1" >/dev/null
		lvcreate -q -y -L 1500M -T vg/thin >/dev/null 2>&1
		zpool create -f -O acltype=posix -O xattr=sa -O mountpoint=/srv/zfs tank "${disk}2"
		mkdir -p /srv/thin /srv/thick /srv/image /srv/device
		wherry --quiet pool add zfs /srv/zfs
		wherry --quiet pool add thin /srv/thin --driver lvm --vg vg/thin --size 400M --fs xfs
		wherry --quiet pool add thick /srv/thick --driver lvm --vg vg --size 400M
		wherry --quiet pool add image /srv/image --driver image --size 400M
		wherry --quiet pool add device /srv/device --driver device --device "${disk}3"'
done
trust a b >/dev/null
trust b a >/dev/null
own_ids a b

volumes() { # MACHINE
	on "$1" lvs --noheadings -o lv_name vg | xargs -n 1 | grep -c '^wherry-' || true
}

make_ct a web --busybox --unprivileged
furnish_ct a web
# xfs has no symbolic link longer than 1023 bytes, and shows ACLs as attributes, too.
on a rm -r "$(ct_root a web)"/furniture/{links/long,attrs/acl,attrs/acl-default}
on a wherry --quiet ct start web
moves "dir to lvm, thin, xfs" web a b --to-pool thin
is "$(on b findmnt -n -o FSTYPE /srv/thin/web/rootfs),$(volumes b)" "xfs,1" "it is on a logical volume"
moves "lvm to zfs" web b a --to-pool zfs
is "$(volumes b)" 0 "no logical volume is left"
is "$(on a zfs get -H -o value refquota tank/web/rootfs)" 400M "its size is its limit there"
moves "zfs to lvm, thick" web a b --to-pool thick
moves "lvm to lvm" web b a --to-pool thin
moves "lvm to image" web a b --to-pool image
moves "image to lvm" web b a --to-pool thick
moves "lvm to device" web a b --to-pool device
like "$(on b sed -n "s/^source='\(.*\)'/\1/p" /srv/device/web/rootfs.mount)" '^/dev/disk/by-id/' "it is known by a name that stays"

on b wherry --quiet ct send config web a --to-pool thin
on b wherry --quiet ct send rootfs web
is "$(volumes a)" 1 "half sent: it arrives on a logical volume"
on b wherry --quiet ct send cancel web
is "$(volumes a),$(traces a web)" "0," "cancelled: nothing is left there"
is "$(running_on web)" b "it runs where it was"
is "$(on b lxc-stop web && on b umount /srv/device/web/rootfs && on b lxc-start web && ct_state b web)" RUNNING "LXC alone mounts and starts it"
