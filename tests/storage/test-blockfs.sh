#!/bin/bash
# Volumes on filesystems of their own, in images and on devices: their life, what is never mounted, never
# written over, never removed.
. "$(dirname "$0")/lib.sh"
plan 99

# shellcheck disable=SC2154 # lib.sh
P=$work/p
make_fs p ext4 4G
mkdir "$work/mnt"

pool() { # DRIVER VERB ...
	local driver=$1
	shift
	DRIVER=$driver vol p "$@"
}

# disk NAME: a block device; its name in $dev.
disk() {
	truncate -s 600M "$work/$1.disk"
	cleanup detach "$work/$1.disk"
	dev=$(losetup -f --show "$work/$1.disk")
}

# By its file: the number may be somebody else's by now.
detach() {
	losetup -n -O NAME -j "$1" | xargs -r -n 1 losetup -d
}

mounted() { findmnt -rn -o FSTYPE --mountpoint "$P/$1"; }
uuid_on() { blkid -p -s UUID -o value "$1"; }
left() { find "$P" -mindepth 1 ! -name lost+found ! -path "$P/.wherry" ! -path "$P/.wherry/staged" ! -name pool.conf; }
loops() { losetup -n -O BACK-FILE | grep -c "^$P/" || true; }

# --- images
for fs in ext4 xfs; do
	ok "image, $fs: a volume is made" env FS=$fs SIZE=400000000 DRIVER=image "$BUILD/tests/storage/volctl" "$P" create web rootfs
	is "$(mounted web/rootfs)" $fs "$fs: it is mounted"
	is "$(ls -A "$P/web/rootfs")" "" "$fs: it is empty"
	is "$(stat -c %a "$P/web/rootfs")" 755 "$fs: its mode"
	fails exists "$fs: it is made once" pool image create web rootfs
	is "$(pool dir open web rootfs "$P/web/rootfs")" "image $P $P/web/rootfs" "$fs: it is found by its path, in any pool"
	[ $fs = xfs ] || furnish "$P/web/rootfs"
	echo content >"$P/web/rootfs/file"
	ok "$fs: it is synced" pool image sync web rootfs
	read -r bytes inodes <<<"$(pool image size web rootfs)"
	ok "$fs: its size is known" test "$bytes" -gt 1000 -a "$inodes" -gt 1

	ok "$fs: it is unmounted" pool image unmount web rootfs
	is "$(mounted web/rootfs),$(loops)" ",0" "$fs: no mount, no loop device"
	is "$(touch "$P/web/rootfs/x" 2>/dev/null && echo put)" "" "$fs: nothing can be put beneath it"
	is "$(pool image root web rootfs; cat "$P/web/rootfs/file")" "$P/web/rootfs"$'\n'"content" "$fs: looking into it mounts it"
	pool image unmount web rootfs
	ok "$fs: its script mounts it, whoever starts it" env PATH=/bin /bin/sh "$P/web/rootfs.mount"
	ok "$fs: again is fine" /bin/sh "$P/web/rootfs.mount" web lxc pre-start
	is "$(cat "$P/web/rootfs/file")" content "$fs: its files are there"
	ok "$fs: it is destroyed" pool image destroy web rootfs
	ok "$fs: twice is fine" pool image destroy web rootfs
	is "$(left)$(loops)" 0 "$fs: nothing is left"
done
pool image create sc rootfs
ok "the script is one" shellcheck -s sh -e SC2034 "$P/sc/rootfs.mount"
pool image unmount sc rootfs
chattr -i "$P/sc/rootfs" 2>/dev/null || true
rmdir "$P/sc/rootfs"
is "$(pool dir open sc rootfs "$P/sc/rootfs")" "image $P $P/sc/rootfs" "half removed, without its mount point, it is still found"
pool image destroy sc rootfs

echo "mmp = perhaps" >"$P/.wherry/pool.conf"
fails invalid "a setting is not half understood" pool image create sc rootfs
rm "$P/.wherry/pool.conf"

# --- publishing
pool image create @0123 rootfs
echo arrived >"$P/.wherry/staged/0123/rootfs/file"
ok "one that is staged is published" pool image publish web rootfs 0123
is "$(cat "$P/web/rootfs/file")" arrived "with its files"
ok "twice is fine" pool image publish web rootfs 0123
is "$(left | LC_ALL=C sort | xargs -n 1 basename | xargs)" "web rootfs rootfs.img rootfs.mount file" "it is all there is"
pool image unmount web rootfs
/bin/sh "$P/web/rootfs.mount"
is "$(cat "$P/web/rootfs/file")" arrived "its script knows the new place"

# --- never another filesystem
pool image unmount web rootfs
mv "$P/web/rootfs.img" "$work/true.img"
truncate -s 100M "$P/web/rootfs.img" && mkfs.ext4 -qF "$P/web/rootfs.img"
fails corrupt "another filesystem in its image" pool image root web rootfs
is "$(mounted web/rootfs),$(loops)" ",0" "it is not mounted"
is "$(/bin/sh "$P/web/rootfs.mount" 2>/dev/null || echo refused)" refused "nor by the script"
is "$(mounted web/rootfs),$(loops)" ",0" "it is not, indeed"
truncate -s 0 "$P/web/rootfs.img"
fails corrupt "no filesystem at all" pool image root web rootfs
rm "$P/web/rootfs.img"
fails not-found "no image" pool image root web rootfs
mv "$work/true.img" "$P/web/rootfs.img"
mount -t tmpfs none "$P/web/rootfs"
fails state "something else is mounted there" pool image root web rootfs
is "$(/bin/sh "$P/web/rootfs.mount" 2>/dev/null || echo refused)" refused "the script sees it, too"
fails state "and what it is mounted over is not destroyed" pool image destroy web rootfs
is "$(mounted web/rootfs)" tmpfs "that stays"
umount "$P/web/rootfs"
pool image root web rootfs >/dev/null
unshare -m --propagation private sleep 60 &
other=$!
until [ "$(readlink /proc/$other/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ] && grep -q web/rootfs /proc/$other/mountinfo; do sleep 0.05; done
fails busy "mounted in another mount namespace, it is not destroyed" pool image destroy web rootfs
# shellcheck disable=SC2154 # lib.sh
like "$said" "by process [0-9]+ " "who has it is named"
ok "the image stays" test -s "$P/web/rootfs.img"
kill $other
wait $other 2>/dev/null || true
ok "afterwards it is" pool image destroy web rootfs
is "$(left)" "" "and nothing is left"
pool image create web rootfs
sed -i "s|^uuid='.*|uuid='; touch $work/owned; '|" "$P/web/rootfs.mount"
fails invalid "a record that is none" pool dir open web rootfs "$P/web/rootfs"
umount "$P/web/rootfs" && chattr -i "$P/web/rootfs" && rm -rf "$P/web"

# --- no room
truncate -s 60M "$work/small.img" && mkfs.ext4 -qF "$work/small.img" && mkdir "$work/small" && mount -o loop "$work/small.img" "$work/small"
cleanup umount "$work/small"
fallocate -l 40M "$work/small/fill"
is "$(FS=xfs DRIVER=image vol small create web rootfs 2>/dev/null || echo failed)" failed "no room for the filesystem"
is "$(find "$work/small" -mindepth 1 ! -path '*/.wherry*' -printf '%P\n' | sort | xargs)" "fill lost+found" "nothing is left of it"

# --- devices
disk one
ok "device: a volume on a blank one" env DEVICE="$dev" "$BUILD/tests/storage/volctl" "$P" create web rootfs
is "$(pool device device web rootfs)" "$dev" "it is found"
fails busy "one is not two volumes'" env DEVICE="$dev" "$BUILD/tests/storage/volctl" "$P" create other rootfs
pool device unmount web rootfs
fails busy "also while it is not mounted" env DEVICE="$dev" "$BUILD/tests/storage/volctl" "$P" create other rootfs
uuid=$(uuid_on "$dev")
detach "$work/one.disk"
disk filler
second=$(losetup -f --show "$work/one.disk")
ok "it is found by its UUID" pool device root web rootfs
pool device unmount web rootfs
ok "destroyed" pool device destroy web rootfs
is "$(uuid_on "$second")" "" "what was made on it is gone"

mkfs.xfs -q "$second"
uuid=$(uuid_on "$second")
ok "an empty filesystem is taken" env DEVICE="$second" "$BUILD/tests/storage/volctl" "$P" create web rootfs
is "$(uuid_on "$second")" "$uuid" "as it is"
mkdir "$P/web/rootfs/d" && touch "$P/web/rootfs/d/f"
ok "destroyed" pool device destroy web rootfs
is "$(uuid_on "$second")" "$uuid" "it stays"
mount "$second" "$work/mnt"
is "$(ls -A "$work/mnt")" "" "and is empty again"
touch "$work/mnt/file"
umount "$work/mnt"
fails exists "one with files is refused" env DEVICE="$second" "$BUILD/tests/storage/volctl" "$P" create web rootfs
fails exists "so is another kind than asked for" env FS=ext4 DEVICE="$second" "$BUILD/tests/storage/volctl" "$P" create web rootfs
is "$(uuid_on "$second"),$(left)" "$uuid," "it is as it was, and nothing is left"
ok "unless that is asked for" env FORCE=1 FS=ext4 DEVICE="$second" "$BUILD/tests/storage/volctl" "$P" create web rootfs
is "$(mounted web/rootfs)" ext4 "now it is a new one"
pool device destroy web rootfs

# --- hand-over
mkfs.ext4 -qF "$second" && mount "$second" "$work/mnt" && echo mine >"$work/mnt/file" && umount "$work/mnt"
uuid=$(uuid_on "$second")
ok "one is taken over with its files" pool dir adopt web rootfs "$uuid" ext4
is "$(pool dir root web rootfs; cat "$P/web/rootfs/file")" "$P/web/rootfs"$'\n'"mine" "they are there"
(cd "$P/web/rootfs" && exec sleep 60) &
user=$!
until [ "$(readlink /proc/$user/cwd)" = "$P/web/rootfs" ] && [ "$(cat /proc/$user/comm)" = sleep ]; do sleep 0.05; done
fails busy "one in use is not given away" pool dir release web rootfs
kill $user
wait $user 2>/dev/null || true
ok "then it is" pool dir release web rootfs
fails state "and not mounted here any more" pool dir root web rootfs
is "$(/bin/sh "$P/web/rootfs.mount" 2>/dev/null || echo refused)" refused "nor by its start"
ok "taken back" pool dir take-back web rootfs
is "$(pool dir root web rootfs)" "$P/web/rootfs" "it is"
ok "destroyed" pool dir destroy web rootfs
is "$(left)" "" "nothing of it is left here"
mount "$second" "$work/mnt"
# As it lies on the disk while somebody has it: what another node sees.
cp --reflink=never "$work/one.disk" "$work/seen.disk"
disk seen
fails busy "one that another node has is not taken, or looked at" env DEVICE="$dev" "$BUILD/tests/storage/volctl" "$P" create other rootfs
is "$(cat "$work/mnt/file")" mine "but its files are: they were not ours"
umount "$work/mnt"
detach "$work/seen.disk"
cp "$work/one.disk" "$work/copy.disk"
disk copy
fails state "two devices of one UUID" pool dir adopt web rootfs "$uuid" ext4
is "$(left)" "" "nothing is taken"

# --- limits
DRIVER=image SIZE=209715200 vol p create web rootfs
is "$(pool dir limit web rootfs)" 209715200 "the limit of one in an image is its size"
pool dir destroy web rootfs
make_fs q btrfs
vol q create web rootfs
is "$(vol q limit web rootfs)" 0 "btrfs: none without quotas"
fails unsupported "btrfs: nor can it be set" vol q limit web rootfs 1000000
btrfs quota enable "$work/q"
is "$(vol q limit web rootfs)" 0 "btrfs: none yet"
ok "btrfs: it is set" vol q limit web rootfs 104857600
is "$(vol q limit web rootfs)" 104857600 "btrfs: it is read"
