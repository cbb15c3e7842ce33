#!/bin/bash
# What all drivers do, on each kind of filesystem: make, list, publish, destroy, and what they refuse.
. "$(dirname "$0")/lib.sh"
plan 148

# A snapshot, by the driver if it has them, else made as the tree engine makes them.
take() { # FS SNAP
	if [ "$driver" = btrfs ]; then
		vol "$1" snapshot web rootfs "$2"
	else
		[ -d "$work/$1/.wherry" ] || mkdir -m 700 "$work/$1/.wherry"
		mkdir -p "$work/$1/.wherry/snap/web/rootfs/$2"
		cp -a "$work/$1/web/rootfs/." "$work/$1/.wherry/snap/web/rootfs/$2"
	fi
}

absent() {
	local p
	for p in "$@"; do [ ! -e "$p" ] || return 1; done
}

between() { # N LOW HIGH
	[ "$1" -ge "$2" ] && [ "$1" -lt "$3" ]
}

for fs in ext4 xfs btrfs; do
	make_fs $fs $fs
	pool=$work/$fs
	driver=dir
	[ $fs != btrfs ] || driver=btrfs

	# --- pools
	like "$(vol $fs space x x)" "^$driver [0-9]+ [0-9]+ [0-9]+$" "$fs: the driver is found, space is known"
	is "$(DRIVER=dir vol $fs space x x | cut -d' ' -f1)" dir "$fs: dir can be asked for anywhere"
	fails invalid "$fs: a driver that does not exist" env DRIVER=floppy "$BUILD/tests/storage/volctl" "$pool" space x x
	ln -s "$pool" "$work/link-$fs"
	fails invalid "$fs: a pool's path is no symbolic link" vol link-$fs space x x
	fails not-found "$fs: a pool's path exists" vol $fs/nothing space x x
	touch "$pool/file"
	fails invalid "$fs: a pool is a folder" vol $fs/file space x x
	[ $fs = btrfs ] || fails invalid "$fs: btrfs only on btrfs" env DRIVER=btrfs "$BUILD/tests/storage/volctl" "$pool" space x x

	# --- make
	ok "$fs: a volume is made" vol $fs create web rootfs
	is "$(stat -c %a "$pool/web" "$pool/web/rootfs" | xargs)" "755 755" "$fs: its modes"
	fails exists "$fs: it is made once" vol $fs create web rootfs
	is "$(vol $fs open web rootfs "$pool/web/rootfs")" "$driver $pool $pool/web/rootfs" "$fs: it is found by its path"
	fails not-found "$fs: a path that is not there" vol $fs open web rootfs "$pool/none/rootfs"
	fails invalid "$fs: a name with a slash" vol $fs create a/b rootfs
	fails invalid "$fs: a name that leads up" vol $fs create .. rootfs
	fails invalid "$fs: an empty name" vol $fs create "" rootfs
	(umask 077 && vol $fs create strict rootfs)
	is "$(stat -c %a "$pool/strict/rootfs")" 755 "$fs: the root's mode does not depend on the umask"

	# --- size
	head -c 1000000 /dev/urandom >"$pool/web/rootfs/f"
	ln "$pool/web/rootfs/f" "$pool/web/rootfs/g"
	mkdir "$pool/web/rootfs/d"
	vol $fs sync web rootfs
	read -r bytes inodes <<<"$(vol $fs size web rootfs)"
	ok "$fs: a file with two names counts once" between "$bytes" 1000000 1100000
	is "$inodes" 3 "$fs: inodes"

	# --- snapshots
	is "$(vol $fs snapshots web rootfs)" "" "$fs: no snapshots yet"
	[ $driver != dir ] || fails unsupported "$fs: no cheap snapshots" vol $fs snapshot web rootfs one
	take $fs monday
	sleep 1.1
	take $fs wherry-1
	mkdir -p "$pool/.wherry/snap/web/rootfs/.unfinished"
	is "$(vol $fs snapshots web rootfs | xargs)" "monday wherry-1 own" "$fs: listed by age, the unfinished not"
	is "$(stat -c %a "$pool/.wherry")" 700 "$fs: only root reaches what is Wherry's"
	is "$(vol $fs snapshot-root web rootfs monday)" "$pool/.wherry/snap/web/rootfs/monday" "$fs: a snapshot is opened"
	fails not-found "$fs: one that is not there" vol $fs snapshot-root web rootfs sunday
	fails invalid "$fs: a snapshot's name leads nowhere else" vol $fs snapshot-root web rootfs ../../web
	ok "$fs: a snapshot goes" vol $fs unsnapshot web rootfs wherry-1
	ok "$fs: again is fine" vol $fs unsnapshot web rootfs wherry-1
	is "$(vol $fs snapshots web rootfs)" "monday" "$fs: the other one stays"

	# --- publish
	ok "$fs: a staged volume is made" vol $fs create @tok rootfs
	is "$(stat -c %a "$pool/.wherry/staged/tok")" 700 "$fs: nobody looks into it"
	echo new >"$pool/.wherry/staged/tok/rootfs/file"
	mkdir -p "$pool/.wherry/snap/tok/rootfs/tuesday"
	fails exists "$fs: not over another volume" vol $fs publish web rootfs tok
	ok "$fs: it is published" vol $fs publish db rootfs tok
	ok "$fs: again is fine" vol $fs publish db rootfs tok
	is "$(cat "$pool/db/rootfs/file")" new "$fs: it is there"
	is "$(vol $fs snapshots db rootfs)" tuesday "$fs: with its snapshots"
	ok "$fs: nothing is left where it was" absent "$pool/.wherry/staged/tok" "$pool/.wherry/snap/tok"
	fails not-found "$fs: what was never there" vol $fs publish none rootfs other

	# --- destroy
	mkdir "$work/outside-$fs"
	echo precious >"$work/outside-$fs/file"
	ln -s "$work/outside-$fs" "$pool/web/rootfs/way-out"
	chattr +i "$pool/web/rootfs/f" 2>/dev/null || true
	mkdir "$pool/web/rootfs/mnt"
	mount --bind "$work/outside-$fs" "$pool/web/rootfs/mnt"
	fails busy "$fs: not with a mount inside" vol $fs destroy web rootfs
	like "$said" "$pool/web/rootfs/mnt is a mount point" "$fs: it says where"
	is "$(vol $fs snapshots web rootfs) $(cd "$pool/web/rootfs" && echo *)" "monday d f g mnt way-out" "$fs: nothing was removed"
	umount "$pool/web/rootfs/mnt"
	ok "$fs: without, it is destroyed" vol $fs destroy web rootfs
	ok "$fs: with all that belongs to it" absent "$pool/web" "$pool/.wherry/snap/web"
	is "$(ls -A "$pool/.wherry/trash")" "" "$fs: the trash is empty"
	is "$(cat "$work/outside-$fs/file")" precious "$fs: a link's target stays"
	ok "$fs: again is fine" vol $fs destroy web rootfs
	mkdir -p "$pool/lxc/rootfs"
	touch "$pool/lxc/config"
	ok "$fs: a plain folder is destroyed too" vol $fs destroy lxc rootfs
	ok "$fs: what else is with it stays" [ "$(ls "$pool/lxc")" = config ]

	# --- a crash in the midst of it
	mkdir -p "$pool/.wherry/trash/0123456789abcdef/deep/er"
	ok "$fs: a sweep" vol $fs sweep x x
	is "$(ls -A "$pool/.wherry/trash")" "" "$fs: removes what was left"

	# --- others must not get in
	chmod 755 "$pool/.wherry"
	fails denied "$fs: not while it is open to others" vol $fs create @tok rootfs
	chmod 700 "$pool/.wherry"
done
