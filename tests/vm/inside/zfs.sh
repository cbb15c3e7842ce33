#!/bin/bash
# zfs.sh - inside a virtual machine: two pools of ZFS and an ext4, and everything that the driver does between them.
# shellcheck source-path=SCRIPTDIR source=../../storage/lib.sh
. "$(dirname "$0")/../../storage/lib.sh"
plan 82

modprobe zfs
# make_pool NAME [OPTIONS]: its root dataset is mounted at $work/NAME, on a file.
make_pool() {
	local name=$1
	shift
	truncate -s 1G "$work/$name.img"
	zpool create -O acltype=posix -O xattr=sa -O mountpoint="$work/$name" "$@" "t$name" "$work/$name.img"
	cleanup zpool destroy -f "t$name"
}

value() { # DATASET PROPERTY
	zfs get -H -o value "$2" "$1"
}

absent() { # DATASET...
	local d
	for d in "$@"; do ! zfs list "$d" >/dev/null 2>&1 || return 1; done
}

snaps() { # DATASET
	zfs list -H -d 1 -t snapshot -s createtxg -o name "$1" | sed 's/.*@//' | xargs
}

offer() { # SNAP FROM
	vol b offer @tok rootfs "$1" "$2"
}

ship() { # SNAP FROM|-
	vol a send web rootfs "$1" "$2" 0 "" "$(offer "$1" "$2")" | vol b receive @tok rootfs "$1" "$2"
}

make_pool a
make_pool b
make_fs plain ext4 512M
a=$work/a b=$work/b

# --- pools and volumes
like "$(vol a space x x)" '^zfs [0-9]+ [0-9]+ [0-9]+$' "the driver is found"
fails invalid "not on another filesystem" env DRIVER=zfs "$BUILD/tests/storage/volctl" "$work/plain" space x x
mkdir "$a/folder"
like "$(vol a/folder space x x)" '^dir ' "a folder inside a dataset is a folder"
ok "a volume is made" vol a create web rootfs
is "$(value ta/web/rootfs mountpoint) $(value ta/web/rootfs mounted) $(value ta/web/rootfs canmount)" \
	"$a/web/rootfs yes on" "a dataset, mounted in its place"
is "$(value ta/web mounted) $(value ta/web canmount)" "no off" "the one above only gives it a name"
is "$(stat -c %a "$a/web" "$a/web/rootfs" | xargs)" "755 755" "its modes"
fails exists "it is made once" vol a create web rootfs
is "$(vol a open web rootfs "$a/web/rootfs")" "zfs $a $a/web/rootfs" "it is found by its path"
mkdir -p "$a/taken/rootfs/x"
fails exists "not over files that are there" vol a create taken rootfs
ok "nothing is left of it" absent ta/taken/rootfs
fails invalid "a name that ZFS does not know" vol a create "we b" rootfs
furnish "$a/web/rootfs"
vol a sync web rootfs
read -r bytes _ <<<"$(vol a size web rootfs)"
ok "its size" [ "$bytes" -gt 1000000 ]

# --- snapshots
ok "a user's snapshot" zfs snapshot ta/web/rootfs@daily
ok "another" vol a snapshot web rootfs second
furnish "$a/web/rootfs" again
ok "one of ours" vol a snapshot web rootfs wherry-1
fails exists "the same name again" vol a snapshot web rootfs wherry-1
is "$(vol a snapshots web rootfs | xargs)" "daily second wherry-1 own" "all are listed, by age"
is "$(zfs holds -H ta/web/rootfs@wherry-1 | cut -f2)" wherry "ours is held"
ok "a snapshot is opened" vol a snapshot-root web rootfs daily
is "$(grep -c 'ta/web/rootfs@' /proc/self/mounts)" 0 "and mounted nowhere"
fails not-found "one that is not there" vol a snapshot-root web rootfs none

# --- to another pool: the user's first
zfs set compression=lz4 atime=off quota=700M refquota=600M ta/web/rootfs
zfs set exec=off setuid=off org.example:word=x ta/web/rootfs
ok "the first snapshot is sent" ship daily -
ok "the second, against it" ship second daily
ok "ours, against that" ship wherry-1 second
staged=tb/.wherry/staged/tok/rootfs
is "$(snaps $staged)" "daily second wherry-1" "all arrived, with their names"
is "$(value $staged mounted) $(value $staged canmount)" "no noauto" "it is not mounted"
is "$(value $staged compression) $(value $staged atime)" "lz4 off" "its properties came"
is "$(zfs get -H -o source exec $staged) $(value $staged org.example:word)" "default -" "what acts on the host did not"
is "$(value $staged quota) $(value $staged refquota)" "none none" "nor its limits, yet"
ok "again is fine: only the header comes" ship wherry-1 second
ok "and without what is known of it, too" sh -c "'$BUILD/tests/storage/volctl' '$a' send web rootfs wherry-1 second |
	'$BUILD/tests/storage/volctl' '$b' receive @tok rootfs wherry-1 second"
ok "it is finished" vol b finish @tok rootfs wherry-1
ok "it is looked at" vol b root @tok rootfs
like "$(grep " $b/.wherry/staged/tok/rootfs " /proc/self/mounts)" ' ro,' "for reading only"
same "$a/web/rootfs" "$b/.wherry/staged/tok/rootfs" "all of it is the same"
echo more >"$a/web/rootfs/more"
vol a snapshot web rootfs wherry-2
ok "an increment fits after that" ship wherry-2 wherry-1
vol a unsnapshot web rootfs wherry-1
ok "ours goes, hold and all" [ "$(vol a snapshots web rootfs | xargs)" = "daily second wherry-2 own" ]
ok "again is fine" vol a unsnapshot web rootfs wherry-1
ok "it is published" vol b publish web rootfs tok
ok "again is fine" vol b publish web rootfs tok
is "$(value tb/web/rootfs mounted) $(value tb/web/rootfs canmount) $(value tb/web/rootfs mountpoint)" \
	"yes on $b/web/rootfs" "it is mounted in its place"
is "$(value tb/web/rootfs quota) $(value tb/web/rootfs refquota)" "700M 600M" "with its limits"
same "$a/web/rootfs" "$b/web/rootfs" "all of it is the same"
ok "it can be written to" touch "$b/web/rootfs/new"
is "$(zfs get -H -s local -o property all tb/web/rootfs | grep -c wherry)" 0 "nothing of ours is left in it"
ok "nor beside it" absent tb/.wherry/staged/tok
is "$(snaps tb/web/rootfs)" "daily second wherry-1 wherry-2" "the snapshots are there"

# --- broken off, and on again by ZFS's own token
vol a create big rootfs
head -c 60000000 /dev/urandom >"$a/big/rootfs/data"
vol a snapshot big rootfs wherry-1
(vol a send big rootfs wherry-1 - 2>/dev/null || true) | head -c 30000000 >"$work/cut"
fails protocol "a stream that breaks off" sh -c "'$BUILD/tests/storage/volctl' '$b' receive @big rootfs wherry-1 - <'$work/cut'"
like "$(value tb/.wherry/staged/big/rootfs receive_resume_token)" '^1-' "what came of it is kept"
token=$(vol b offer @big rootfs wherry-1 -)
like "$token" '"partial"' "the receiving side says so"
vol a send big rootfs wherry-1 - 0 "" "$token" >"$work/rest"
ok "the rest is less than the whole" [ "$(stat -c %s "$work/rest")" -lt 45000000 ]
ok "it goes on" sh -c "'$BUILD/tests/storage/volctl' '$b' receive @big rootfs wherry-1 - <'$work/rest'"
vol b finish @big rootfs wherry-1
vol b root @big rootfs >/dev/null
ok "and is the same" cmp "$a/big/rootfs/data" "$b/.wherry/staged/big/rootfs/data"
# A token of another container's snapshot: the offer of a liar.
vol a create other rootfs
head -c 20000000 /dev/urandom >"$a/other/rootfs/secret"
vol a snapshot other rootfs wherry-1
(vol a send other rootfs wherry-1 - 2>/dev/null || true) | head -c 10000000 >"$work/cut"
vol b receive @liar rootfs wherry-1 - <"$work/cut" 2>/dev/null || true
token=$(vol b offer @liar rootfs wherry-1 -)
vol a send big rootfs wherry-1 - 0 "" "$token" | head -n 1 >"$work/header"
ok "a token of another container is not believed" grep -q '"resume":false' "$work/header"
ok "a broken one is destroyed" vol b destroy @liar rootfs
ok "with all of it" absent tb/.wherry/staged/liar

# --- nested datasets
zfs create ta/web/rootfs/srv
zfs create -o quota=100M ta/web/rootfs/srv/data
echo deep >"$a/web/rootfs/srv/data/file"
vol a snapshot web rootfs wherry-3
whole() { # SNAP TOKEN
	vol a send web rootfs "$1" - | vol b receive "@$2" rootfs "$1" -
}
ok "with nested datasets" whole wherry-3 nest
ok "it is published" vol b publish nest rootfs nest
is "$(cat "$b/nest/rootfs/srv/data/file")" deep "what is nested is there"
is "$(value tb/nest/rootfs/srv/data canmount) $(value tb/nest/rootfs/srv/data quota)" "noauto 100M" "its limit, too"
zfs unmount tb/nest/rootfs/srv/data
ok "after a boot" vol b sweep x x
is "$(cat "$b/nest/rootfs/srv/data/file")" deep "it is mounted again"
fails unsupported "the tree engine does not see it all" vol a whole web rootfs
ln -s /etc "$a/web/rootfs/way"
zfs create -o mountpoint="$work/elsewhere" ta/web/rootfs/way
vol a snapshot web rootfs wherry-4
whole wherry-4 evil
fails io "a dataset whose place is a symbolic link" vol b publish evil rootfs evil
is "$(grep -c ' /etc zfs' /proc/self/mounts)" 0 "is not mounted at its end"
vol b destroy evil rootfs
zfs create -V 10M -s ta/web/rootfs/swap
vol a snapshot web rootfs wherry-5
fails unsupported "a volume of blocks is named" vol a send web rootfs wherry-5 -
like "$said" 'ta/web/rootfs/swap' "by its name"
vol a unsnapshot web rootfs wherry-5
zfs destroy -r ta/web/rootfs/swap

# --- streams of liars
zfs snapshot -r ta/web@pkg
part() { # FILE: as a stream of ours
	printf '{"zfs":1,"parts":[{"name":""}]}\n'
	perl -e 'local $/ = \262144; while (<>) { print pack("V", length), $_ } print pack("V", 0)' "$1"
}
zfs send -R ta/web/rootfs@pkg >"$work/package"
part "$work/package" >"$work/lie"
fails protocol "a package of streams" sh -c "'$BUILD/tests/storage/volctl' '$b' receive @lie rootfs pkg - <'$work/lie'"
zfs clone ta/other/rootfs@wherry-1 ta/clone
zfs snapshot ta/clone@pkg
zfs send -i ta/other/rootfs@wherry-1 ta/clone@pkg >"$work/clone"
part "$work/clone" >"$work/lie"
fails protocol "a clone" sh -c "'$BUILD/tests/storage/volctl' '$b' receive @lie rootfs pkg - <'$work/lie'"
zfs send -i @second ta/web/rootfs@wherry-2 >"$work/inc"
part "$work/inc" >"$work/lie"
fails protocol "an increment where a whole one was said" sh -c "'$BUILD/tests/storage/volctl' '$b' receive @lie rootfs x - <'$work/lie'"
head -c 5000 /dev/urandom >"$work/noise"
part "$work/noise" >"$work/lie"
fails protocol "noise" sh -c "'$BUILD/tests/storage/volctl' '$b' receive @lie rootfs x - <'$work/lie'"
ok "none of them left anything" absent tb/.wherry/staged/lie/rootfs
zfs destroy -r ta/clone

# --- destroy
zfs hold mine ta/other/rootfs@wherry-1
fails busy "what somebody else holds is not destroyed" vol a destroy other rootfs
zfs release mine ta/other/rootfs@wherry-1
ok "then it is" vol a destroy other rootfs
ok "with its place" absent ta/other
ok "and its folder" [ ! -e "$a/other" ]
ok "again is fine" vol a destroy other rootfs
ok "the big one, too" vol a destroy big rootfs
ok "with nested ones" vol b destroy nest rootfs
mkdir "$b/web/rootfs/mnt"
mount --bind "$work" "$b/web/rootfs/mnt"
fails busy "not with a mount inside" vol b destroy web rootfs
umount "$b/web/rootfs/mnt"
ok "the files are still there" [ -e "$b/web/rootfs/more" ]
