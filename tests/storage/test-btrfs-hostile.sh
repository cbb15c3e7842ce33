#!/bin/bash
# Streams of a peer that wants out of the subvolume, or to break us: each is refused or does no harm, and nothing
# outside has changed. See stream.py for what they are.
. "$(dirname "$0")/lib.sh"

make_fs b btrfs 1G
pool=$work/b
here=$(dirname "$0")

# What the streams aim at: beside the working subvolume's pool folders, and a disk.
mkdir "$pool/outside"
echo precious >"$pool/outside/secret"
setfattr -n user.mine -v 1 "$pool/outside/secret"
btrfs -q subvolume create "$pool/neighbour"
echo precious >"$pool/neighbour/secret"
# The names lead there from POOL/.wherry/snap/TOKEN/VOLUME/.receive.
mkdir -m 700 "$pool/.wherry"
mkdir "$pool/.wherry/outside"
echo precious >"$pool/.wherry/outside/secret"
echo precious >"$work/secret"
truncate -s 1M "$work/disk.img"
echo precious | dd of="$work/disk.img" conv=notrunc status=none
disk=$(losetup -f --show "$work/disk.img")
cleanup losetup -d "$disk"
device=0x$(stat -c %t "$disk")$(printf %02x "0x$(stat -c %T "$disk")")

# Everything but what is being received, and the times of the folders that a receiver works in.
outside() {
	find "$pool" "$work/secret" -path "$pool/.wherry/snap/*" -prune -o -printf '%p %y %m %U:%G %T@ %n %s %l\n' |
		grep -vE '/[.]wherry/(snap|trash) ' | sort
	find "$pool" "$work/secret" -path "$pool/.wherry/snap/*" -prune -o -type f -print0 | sort -z |
		xargs -0 sha256sum
	getfattr -R -h -d -m - "$pool/outside" "$pool/.wherry/outside" 2>/dev/null | grep -v '^# file'
	lsattr -R -a "$pool/outside" "$pool/.wherry/outside"
	sha256sum <"$disk"
	ls -d /tmp/secret /tmp/new 2>/dev/null || true
}

# judge NAME FATE: one stream. A receiver that hangs on a pipe is one that opened it.
judge() {
	local status=0 want
	case $2 in
	applied) want=0 ;;
	refused) want=11 ;;
	unsupported) want=13 ;;
	no-space) want=14 ;;
	esac
	timeout 60 "$BUILD/tests/storage/volctl" "$pool" receive @tok rootfs s - <"$work/streams/$1" >"$work/said" 2>&1 || status=$?
	[ "$status" = "$want" ] || {
		echo "$1: exit status $status, not $want: $(cat "$work/said")"
		return 1
	}
	vol b destroy @tok rootfs || return 1
	outside >"$work/after"
	diff -u "$work/before" "$work/after"
}

mkdir -p "$pool/.wherry/snap" "$pool/.wherry/trash" "$pool/.wherry/staged" "$work/streams"
python3 "$here/stream.py" "$work/streams" "$device" >"$work/list"
plan "$(wc -l <"$work/list")"
outside >"$work/before"
while read -r name fate; do
	ok "$name: $fate" judge "$name" "$fate"
done <"$work/list"
