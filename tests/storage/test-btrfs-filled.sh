#!/bin/bash
# A first copy by the tree engine, that increments by btrfs streams go on from; and what cannot be a
# stream at all.
. "$(dirname "$0")/lib.sh"
plan 24

make_fs a btrfs
make_fs b btrfs
a=$work/a
b=$work/b
snaps_a=$a/.wherry/snap/web/rootfs
snaps_b=$b/.wherry/snap/tok/rootfs

fill() { # FROM FOLDER: what move/ does between fill and filled
	"$BUILD/tests/tree/treecp" local "$1" "$2" "$work/index" "$work/state" final quiet
	rm -rf "$work/index"* "$work/state"
}

vol a create web rootfs
furnish "$a/web/rootfs"
furnish_btrfs "$a/web/rootfs"
vol a snapshot web rootfs wherry-1
is "$(vol a streams web rootfs)" native "a volume that streams can say"
origin=$(vol a origin web rootfs wherry-1)
like "$origin" '^[0-9a-f]{32}:[0-9]+$' "a snapshot has a name everywhere"
fails not-found "there is no folder yet" vol b fill @tok rootfs wherry-1 "$origin"
fails protocol "a name that is none" vol b fill @tok rootfs wherry-1 "${origin%:*}" make
fails protocol "another" vol b fill @tok rootfs wherry-1 "00000000000000000000000000000000:1" make
folder=$(vol b fill @tok rootfs wherry-1 "$origin" make)
is "$folder" "$snaps_b/.filled" "now there is"
is "$(vol b fill @tok rootfs wherry-1 "$origin")" "$folder" "and stays"
ok "it is filled" fill "$snaps_a/wherry-1" "$folder"
ok "and becomes the snapshot" vol b filled @tok rootfs wherry-1 "$origin"
same "$snaps_a/wherry-1" "$snaps_b/wherry-1" "all of it is there"
is "$(vol b fill @tok rootfs wherry-1 "$origin")" "it is here" "once more: nothing to do"
is "$(find "$snaps_b" -mindepth 1 -maxdepth 1 -printf '%f ')" "wherry-1 " "nothing else is left"
fails exists "another one of that name" vol b fill @tok rootfs wherry-1 "f${origin#?}"

furnish "$a/web/rootfs" again
again_btrfs "$a/web/rootfs"
vol a snapshot web rootfs wherry-2
ship() {
	vol a send web rootfs wherry-2 wherry-1 | vol b receive @tok rootfs wherry-2 wherry-1
}
ok "a stream against it" ship
same "$snaps_a/wherry-2" "$snaps_b/wherry-2" "all changes are there"
ok "it is finished" vol b finish @tok rootfs wherry-2
same "$snaps_a/wherry-2" "$b/.wherry/staged/tok/rootfs" "the live volume is the same"

# --- what the tree engine would not keep
head -c $((20 << 20)) /dev/urandom >"$a/web/rootfs/large"
sync -f "$a"
dd if=/dev/urandom of="$a/web/rootfs/large" bs=1M count=18 conv=notrunc,fsync status=none
vol a snapshot web rootfs wherry-3
like "$(vol a origin web rootfs wherry-3)" ':' "a file that was written over is still its own"
cp --reflink=always "$a/web/rootfs/large" "$a/web/rootfs/copy"
vol a snapshot web rootfs wherry-4
is "$(vol a origin web rootfs wherry-4)" "" "files that share much go as a stream"

# --- what a stream cannot say
vol a create deep rootfs
(
	cd "$a/deep/rootfs"
	name=$(printf 'n%.0s' {1..250})
	for _ in {1..16}; do mkdir "$name" && cd "$name"; done
	touch "$(printf 'm%.0s' {1..79})"
)
is "$(vol a streams deep rootfs)" native "a path of 4095 bytes"
(
	cd "$a/deep/rootfs"
	name=$(printf 'n%.0s' {1..250})
	for _ in {1..16}; do cd "$name"; done
	touch "$(printf 'm%.0s' {1..80})"
)
is "$(vol a streams deep rootfs)" tree "a longer one"
vol a create nest rootfs
mkdir "$a/nest/rootfs/var"
btrfs -q subvolume create "$a/nest/rootfs/var/inner"
echo 1 >"$a/nest/rootfs/var/inner/file"
is "$(vol a streams nest rootfs)" live "a subvolume inside: there is no snapshot of it all"
make_fs c ext4
mkdir "$work/c/to"
ok "the tree engine copies it" fill "$a/nest/rootfs" "$work/c/to"
is "$(cat "$work/c/to/var/inner/file")" 1 "with what is inside"
