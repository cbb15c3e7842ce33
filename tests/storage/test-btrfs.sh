#!/bin/bash
# btrfs to btrfs: whole and incremental streams of trees with everything in them, snapshots of users, and
# the real btrfs on either end.
. "$(dirname "$0")/lib.sh"
plan 66

make_fs a btrfs
make_fs b btrfs
a=$work/a
b=$work/b
snaps_a=$a/.wherry/snap/web/rootfs
snaps_b=$b/.wherry/snap/tok/rootfs

ship() { # SNAP FROM|-
	vol a send web rootfs "$1" "$2" | vol b receive @tok rootfs "$1" "$2"
}

# --- a whole one, with a user's snapshot before it
vol a create web rootfs
furnish "$a/web/rootfs"
ok "a user's snapshot" vol a snapshot web rootfs "before upgrade"
furnish_btrfs "$a/web/rootfs"
ok "a snapshot" vol a snapshot web rootfs wherry-1
fails exists "the same name again" vol a snapshot web rootfs wherry-1
ok "the user's snapshot is sent" ship "before upgrade" -
same "$snaps_a/before upgrade" "$snaps_b/before upgrade" "all of it arrived"
ok "the next one, against it" ship wherry-1 "before upgrade"
same "$snaps_a/wherry-1" "$snaps_b/wherry-1" "all of it arrived"
ok "it is read-only" [ "$(btrfs property get "$snaps_b/wherry-1" ro)" = ro=true ]
extents() { filefrag -v "$1" | awk '/^ +[0-9]+:/ { print $4 }'; }
is "$(extents "$snaps_b/wherry-1/shared")" "$(extents "$snaps_b/wherry-1/data")" "shared extents stay shared"
like "$(lsattr -d "$snaps_b/wherry-1/flags/nocow/file")" "C" "no copy on write for a file that is not empty"
is "$(find "$snaps_b" -mindepth 1 -maxdepth 1 -type d -name '.*')" "" "nothing unfinished is left"
id=$(btrfs inspect-internal rootid "$snaps_b/wherry-1")
ok "the same once more is only read" ship wherry-1 "before upgrade"
is "$(btrfs inspect-internal rootid "$snaps_b/wherry-1")" "$id" "and changes nothing"
vol a send web rootfs "before upgrade" - >"$work/other"
fails exists "another one of that name is refused" vol b receive @tok rootfs wherry-1 - <"$work/other"

# --- changes
furnish "$a/web/rootfs" again
again_btrfs "$a/web/rootfs"
ok "a later snapshot" vol a snapshot web rootfs wherry-2
ok "only what changed is sent" ship wherry-2 wherry-1
same "$snaps_a/wherry-2" "$snaps_b/wherry-2" "all of it arrived"
ok "a snapshot of no change" vol a snapshot web rootfs wherry-3
ok "nothing is sent" ship wherry-3 wherry-2
same "$snaps_a/wherry-3" "$snaps_b/wherry-3" "and nothing changed"

# --- the live volume
fails not-found "a volume of a snapshot that never came" vol b finish @tok rootfs wherry-9
ok "an empty volume was reserved" vol b create @tok rootfs
ok "the volume is made of the last one" vol b finish @tok rootfs wherry-3
same "$snaps_a/wherry-3" "$b/.wherry/staged/tok/rootfs" "with all that is in it"
id=$(btrfs inspect-internal rootid "$b/.wherry/staged/tok/rootfs")
ok "again is fine" vol b finish @tok rootfs wherry-3
is "$(btrfs inspect-internal rootid "$b/.wherry/staged/tok/rootfs")" "$id" "and does nothing"
is "$(find "$snaps_b" -mindepth 1 -maxdepth 1 -name '.*')" "" "nothing of receiving is left"
touch "$b/.wherry/staged/tok/rootfs/written"
ok "after something wrote to it" vol b finish @tok rootfs wherry-3
ok "it is as it came" [ ! -e "$b/.wherry/staged/tok/rootfs/written" ]
is "$(btrfs subvolume show "$b/.wherry/staged/tok/rootfs" | grep -c 'Received UUID:[[:space:]]*-')" 1 "it is nobody's copy"
ok "it is published" vol b publish web rootfs tok
is "$(vol b snapshots web rootfs | cut -d' ' -f1-2 | xargs -d'\n' printf '%s,')" \
	"before upgrade,wherry-1 own,wherry-2 own,wherry-3 own," "its snapshots came along, oldest first"
ok "own snapshots go" vol b unsnapshot web rootfs wherry-2
echo there >"$b/web/rootfs/there"
vol b snapshot web rootfs back

# --- and back to where it came from, against what is still there
vol b send web rootfs back wherry-3 | vol a receive web rootfs back wherry-3
same "$b/.wherry/snap/web/rootfs/back" "$snaps_a/back" "the way back needs only what is new"

# --- the real tools on either end; they know nothing of flags, and let new files inherit from their folder
make_fs c btrfs
vol a create common rootfs
furnish "$a/common/rootfs"
vol a snapshot common rootfs wherry-1
furnish "$a/common/rootfs" again
vol a snapshot common rootfs wherry-2
common=$a/.wherry/snap/common/rootfs
vol a send common rootfs wherry-1 - | btrfs -q receive "$work/c"
vol a send common rootfs wherry-2 wherry-1 | btrfs -q receive "$work/c"
same "$common/wherry-1" "$work/c/wherry-1" "btrfs receive takes what we send"
same "$common/wherry-2" "$work/c/wherry-2" "and the difference"
btrfs -q send --proto 2 "$common/wherry-1" | vol b receive @real2 rootfs wherry-1 -
btrfs -q send --proto 2 -p "$common/wherry-1" "$common/wherry-2" | vol b receive @real2 rootfs wherry-2 wherry-1
same "$common/wherry-2" "$b/.wherry/snap/real2/rootfs/wherry-2" "we take what btrfs send sends, version 2"
btrfs -q send --proto 1 "$common/wherry-1" | vol b receive @real1 rootfs wherry-1 -
same "$common/wherry-1" "$b/.wherry/snap/real1/rootfs/wherry-1" "and version 1"
btrfs -q send --proto 1 -p "$common/wherry-1" "$common/wherry-2" | vol b receive @real1 rootfs wherry-2 wherry-1
# A hole that was made between the two is zeros to it.
tree "$common/wherry-2" | sed 's/ sparse / dense /' >"$work/tree.1"
tree "$b/.wherry/snap/real1/rootfs/wherry-2" | sed 's/ sparse / dense /' >"$work/tree.2"
ok "and its difference" diff -u "$work/tree.1" "$work/tree.2"
vol a create squeezed rootfs
btrfs property set "$a/squeezed/rootfs" compression zstd
head -c 1000000 /dev/zero | tr '\0' x >"$a/squeezed/rootfs/file"
vol a snapshot squeezed rootfs wherry-1
btrfs -q send --proto 2 --compressed-data "$a/.wherry/snap/squeezed/rootfs/wherry-1" >"$work/compressed"
fails unsupported "compressed data are refused" vol b receive @real3 rootfs wherry-1 - <"$work/compressed"
vol a send squeezed rootfs wherry-1 - | vol b receive @real3 rootfs wherry-1 -
same "$a/squeezed/rootfs" "$b/.wherry/snap/real3/rootfs/wherry-1" "our own stream of them is not"
vol a unsnapshot squeezed rootfs wherry-1
ok "the last snapshot takes its folders with it" test ! -e "$a/.wherry/snap/squeezed"
vol a snapshot squeezed rootfs wherry-x-1
vol a snapshot squeezed rootfs wherry-x-2
vol a snapshot squeezed rootfs mine
ok "those of one send are forgotten" vol a forget squeezed rootfs wherry-x-
is "$(vol a snapshots squeezed rootfs)" mine "... and no other"
vol a unsnapshot squeezed rootfs mine
# As a power cut leaves it between the two.
mkdir -p "$a/.wherry/snap/squeezed/rootfs"
ok "forgetting what is gone already" vol a forget squeezed rootfs wherry-x-
ok "... takes the folders that are left" test ! -e "$a/.wherry/snap/squeezed"

# --- a pool that is mounted from a plain folder, where btrfs receive finds no parent
mkdir -p "$b/plain/pool" "$work/bound"
mount --bind "$b/plain/pool" "$work/bound"
cleanup umount "$work/bound"
vol a send web rootfs wherry-1 - | vol bound receive @tok rootfs wherry-1 -
vol a send web rootfs wherry-2 wherry-1 | vol bound receive @tok rootfs wherry-2 wherry-1
same "$snaps_a/wherry-2" "$work/bound/.wherry/snap/tok/rootfs/wherry-2" "through a bind mount of a plain folder"
vol bound finish @tok rootfs wherry-2
ok "finished and published there" vol bound publish web rootfs tok
ok "and destroyed" vol bound destroy web rootfs
is "$(find "$work/bound" -mindepth 1 | wc -l)" 4 "nothing is left"

# --- what does not fit
vol a create other rootfs
vol a snapshot other rootfs wherry-1
vol a snapshot other rootfs wherry-2
vol a send other rootfs wherry-2 wherry-1 >"$work/other"
fails protocol "a stream against another snapshot" vol b receive @real1 rootfs wherry-3 wherry-1 <"$work/other"
like "$said" "another snapshot" "it says so"
fails not-found "a stream against a snapshot that is not there" vol b receive @real1 rootfs wherry-3 wherry-7 <"$work/other"
fails protocol "a whole one where a difference is wanted" vol b receive @real1 rootfs wherry-3 wherry-1 < <(vol a send other rootfs wherry-1 -)
fails protocol "a difference where a whole one is wanted" vol b receive @real1 rootfs wherry-3 - <"$work/other"
ok "what was tried can be destroyed" vol b destroy @real1 rootfs

# --- subvolumes inside
btrfs -q subvolume create "$a/other/rootfs/machines"
fails unsupported "a subvolume inside is not left out silently" vol a snapshot other rootfs wherry-3
like "$said" "at machines, which would be left out" "it is named"
btrfs -q subvolume snapshot -r "$a/other/rootfs" "$a/.wherry/snap/other/rootfs/by-hand" >/dev/null
fails unsupported "nor in a snapshot that somebody made by hand" vol a send other rootfs by-hand -
like "$said" "in the folder / of it" "it is named"
ok "it does not keep the volume from being destroyed" vol a destroy other rootfs
mkdir -p "$a/plain/rootfs/deep"
btrfs -q subvolume create "$a/plain/rootfs/deep/er"
is "$(vol a open plain rootfs "$a/plain/rootfs" | cut -d' ' -f1)" dir "a plain folder on btrfs is one"
ok "a plain folder with a subvolume deep inside is destroyed" vol a destroy plain rootfs

# --- a full disk
make_fs full btrfs 128M
vol a create big rootfs
head -c 200M /dev/urandom >"$a/big/rootfs/file"
vol a snapshot big rootfs wherry-1
vol a send big rootfs wherry-1 - >"$work/big"
fails no-space "a volume that does not fit" vol full receive @tok rootfs wherry-1 - "$work/full.state" <"$work/big"
ok "it can be destroyed" vol full destroy @tok rootfs
is "$(find "$work/full" -mindepth 3)" "" "nothing is left of it"
