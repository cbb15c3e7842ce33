#!/bin/bash
# Containers on filesystems of their own (image, device): made, moved from and to every kind of pool, started
# without Wherry, cancelled; and what must not be mounted is not. lvm: tests/vm.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

disks=$(mktemp -d)
cleanup rm -rf "$disks"

# disk NAME: a block device that all nodes see; its name on stdout.
disk() {
	truncate -s 900M "$disks/$1"
	losetup -f --show "$disks/$1"
}

# mounts NODE: how many filesystems on images and devices the node has mounted below its pools.
mounts() {
	on "$1" findmnt -rn -o TARGET -t ext4,xfs | grep -cE '^/srv/(image|xfs|device)/' || true
}

# loops NODE: loop devices over images that are gone.
loops() {
	on "$1" losetup -n -O BACK-FILE | grep -cE '^/srv/(image|xfs)/.*deleted' || true
}

# new NAME POOL [OPTIONS...]: made by `ct create` on a from a root in an archive, furnished and running.
new() {
	local name=$1 pool=$2
	shift 2
	on a wherry --quiet ct create "$name" --tarball /root/root.tar --pool "$pool" "$@" >/dev/null
	echo "lxc.apparmor.profile = unconfined" | on a tee -a "/var/lib/lxc/$name/config" >/dev/null
	furnish_ct a "$name"
	on a wherry --quiet ct start "$name" >/dev/null
}

plan 71
cleanup detach
detach() {
	losetup -n -O NAME,BACK-FILE | awk -v d="$disks/" 'index($2, d) == 1 { print $1 }' | xargs -r -n 1 losetup -d
}
lab_up
trust a b
trust b a
own_ids a b
declare -A dev
for n in a b; do
	dev[$n]=$(disk $n)
	on "$n" mkdir -p /srv/image /srv/xfs /srv/device
	on "$n" wherry --quiet pool add ext4 /srv/ext4
	on "$n" wherry --quiet pool add btrfs /srv/btrfs
	on "$n" wherry --quiet pool add image /srv/image --driver image --size 600M
	on "$n" wherry --quiet pool add xfs /srv/xfs --driver image --fs xfs --size 500M
	on "$n" wherry --quiet pool add device /srv/device --driver device --device "${dev[$n]}"
done
make_ct a model --busybox
on a tar -C "$(ct_root a model)" -cf /root/root.tar .

# --- from and to all
new web image --unprivileged --size 450M
is "$(on a findmnt -n -o FSTYPE,TARGET /srv/image/web/rootfs | xargs)" "ext4 /srv/image/web/rootfs" "it is on a filesystem of its own"
like "$(on a wherry ct list)" 'web +running +image +image' "ct list says so"
moves "image to device" web a b --to-pool device
is "$(on b findmnt -n -o SOURCE /srv/device/web/rootfs)" "${dev[b]}" "it is on the device"
is "$(mounts a),$(loops a)" "0,0" "no mount and no loop device stays"
moves "device to btrfs" web b a --to-pool btrfs
is "$(blkid -p "${dev[b]}")" "" "what was made on the device is gone"
moves "btrfs to device" web a b --to-pool device
moves "device to dir" web b a --to-pool ext4
moves "dir to image" web a b --to-pool image
is "$(on b stat -c %s /srv/image/web/rootfs.img)" 629145600 "its size is the pool's"
new sized image --unprivileged --size 450M
# xfs has no symbolic link longer than 1023 bytes, and shows ACLs as attributes, too.
on a rm -r "$(ct_root a sized)"/furniture/{links/long,attrs/acl,attrs/acl-default}
moves "image to image of another kind" sized a b --to-pool xfs
is "$(on b stat -c %s /srv/xfs/sized/rootfs.img)" 471859200 "the size came along"
is "$(on b findmnt -n -o FSTYPE /srv/xfs/sized/rootfs)" xfs "the kind is the pool's"
moves "image to dir" sized b a --to-pool ext4
new priv device
moves "privileged, device to device" priv a b --to-pool device

# --- plain LXC underneath
for n in priv web; do on b wherry --quiet ct stop $n >/dev/null; done
for f in /usr/bin/wherry /usr/lib/wherry; do on b mv $f $f.away; done
for n in priv/device web/image; do
	on b umount "/srv/${n#*/}/${n%/*}/rootfs"
	on b lxc-start "${n%/*}"
	wait_counter b "${n%/*}"
	is "$(ct_state b "${n%/*}")" RUNNING "${n#*/}: not mounted, as after a boot: it starts with Wherry uninstalled"
	on b lxc-stop "${n%/*}"
done
for f in /usr/bin/wherry /usr/lib/wherry; do on b mv $f.away $f; done

# --- what is not the container's is neither started nor sent
on b umount /srv/device/priv/rootfs
mkfs.ext4 -qF "${dev[b]}"
like "$(refusal b wherry ct send priv a)" 'no device here has the filesystem' "another filesystem on the device: it is not sent"
on b lxc-start priv 2>/dev/null || true
is "$(ct_state b priv)" STOPPED "it is not started"
is "$(on b ls -A /srv/device/priv/rootfs)" "" "nothing is put beneath the mount point"
is "$(on b touch /srv/device/priv/rootfs/x 2>/dev/null && echo put)" "" "nothing can be"
is "$(on b findmnt /srv/device/priv/rootfs)" "" "nothing is mounted"
like "$(refusal a wherry ct create new --tarball /root/root.tar --device "${dev[b]}" --fs xfs)" 'has a filesystem already' "a device with a filesystem keeps it"
mkdir "$disks/mnt"
mount "${dev[b]}" "$disks/mnt" && touch "$disks/mnt/file" && umount "$disks/mnt"
like "$(refusal a wherry ct create new --tarball /root/root.tar --device "${dev[b]}")" 'is not empty' "and its files"
is "$(traces a new)" "" "and nothing is left of the try"
like "$(refusal a wherry ct create new --tarball /root/root.tar --device /dev/null)" 'is not a block device' "something else"
like "$(refusal a wherry ct create new --tarball /root/root.tar --fs xfs)" 'filesystem of its own' "--fs without one"

# --- cancelled halfway
on b wherry --quiet ct start web >/dev/null
on b wherry --quiet ct send config web a --to-pool image >/dev/null
on b wherry --quiet ct send rootfs web >/dev/null
is "$(mounts a)" 1 "it is arriving"
on b wherry --quiet ct send cancel web >/dev/null
is "$(mounts a),$(loops a),$(traces a web)" "0,0," "cancelled: no mount, no loop device, no file"
is "$(ct_state b web)" RUNNING "it runs where it was"
moves "the next try" web b a --to-pool image

# --- a reboot of the node
reboot_node a
wait_for 30 on a wherry status
on a wherry --quiet ct start web >/dev/null
wait_counter a web
is "$(ct_state a web),$(mounts a)" "RUNNING,1" "after a power cut it is mounted by its start"
on a wherry --quiet ct snapshot web monday >/dev/null
like "$(on a wherry ct show web)" monday "it has a snapshot, a copy in the pool"
on a wherry --quiet ct delete --force web >/dev/null
is "$(mounts a),$(loops a),$(traces a web)" "0,0," "deleted: nothing of it is left"
