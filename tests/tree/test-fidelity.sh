#!/bin/bash
# A tree that says everything a filesystem can say, between every two of them, and between containers
# with different id maps. What a target cannot hold is told, file by file.
. "$(dirname "$0")/lib.sh"
plan 49

kinds="ext4 xfs btrfs"
for kind in $kinds; do
	make_fs "$kind" "$kind"
	make_fs "$kind-to" "$kind"
	fresh "$kind/src"
done
ok "a nasty tree on ext4" nasty "$work/ext4/src" --flags --huge
ok "a nasty tree on xfs" nasty "$work/xfs/src" --flags --huge --project
ok "a nasty tree on btrfs" nasty "$work/btrfs/src" --flags --huge

# A pass that finds everything as it should be sends no content and removes nothing.
idle() { # FROM TO
	local keep=$work/keep/${2//\//.}
	"$BUILD/tests/tree/treecp" local "$work/$1" "$work/$2" "$keep/index" "$keep/state" final commit 2>&1 |
		grep -q '^send: .* bytes=0 deleted=0 vanished=0 unsupported=0 '
}

for a in $kinds; do
	for b in $kinds; do
		fresh "$b-to/$a"
		send "$a/src" "$b-to/$a" final commit >"$work/log" 2>&1 || diag "$(cat "$work/log")"
		[ "$a-$b" = xfs-ext4 ] || [ "$a-$b" = xfs-btrfs ] && lost=2 || lost=0 # project ids
		is "$(grep -c '^unsupported: .*: project id: ' "$work/log")" "$lost" "$a to $b: what it cannot hold is told"
		[ "$a" = "$b" ] && only=() || only=(--no-project)
		ok "$a to $b: the same" same "$work/$a/src" "$work/$b-to/$a" "${only[@]}"
		ok "$a to $b: nothing is left to do" idle "$a/src" "$b-to/$a"
		ok "$a to $b: the index knows" index_true "$b-to/$a"
	done
done

# --- the largest attributes, which only their own kind can hold
for kind in $kinds; do
	fresh "$kind/big" "$kind-to/big"
done
nasty "$work/ext4/big" --xattr-max 3900
nasty "$work/xfs/big" --xattr-max 65536
nasty "$work/btrfs/big" --xattr-max 16000
for kind in $kinds; do
	send "$kind/big" "$kind-to/big" final >"$work/log" 2>&1 || diag "$(cat "$work/log")"
	ok "$kind: the largest attributes" same "$work/$kind/big" "$work/$kind-to/big"
done
forget ext4-to/big
fresh ext4-to/big
send xfs/big ext4-to/big final >"$work/log" 2>&1 || diag "$(cat "$work/log")"
is "$(grep -c '^unsupported: xattrs/big: user.big: ' "$work/log")" 1 "xfs to ext4: the one it cannot hold is told"

# --- id maps: the container's 0 is 100000 here, 300000 there, 0 elsewhere
fresh ext4/shifted xfs-to/shifted btrfs-to/plain ext4-to/back
chown 100000:100000 "$work/ext4/shifted"
ok "a tree of an unprivileged container" nasty "$work/ext4/shifted" --base 100000 --ids 65535
send ext4/shifted xfs-to/shifted final from-map=b:0:100000:65536 to-map=b:0:300000:65536 >"$work/log" 2>&1 ||
	diag "$(cat "$work/log")"
ok "100000 to 300000: owners, ACLs and capabilities" same "$work/ext4/shifted" "$work/xfs-to/shifted" \
	--ids 100000 300000 65536
send xfs-to/shifted btrfs-to/plain final from-map=b:0:300000:65536 >"$work/log" 2>&1 || diag "$(cat "$work/log")"
ok "300000 to 0" same "$work/xfs-to/shifted" "$work/btrfs-to/plain" --ids 300000 0 65536
send btrfs-to/plain ext4-to/back final to-map=b:0:100000:65536 >"$work/log" 2>&1 || diag "$(cat "$work/log")"
ok "and back to 100000" same "$work/ext4/shifted" "$work/ext4-to/back" --no-layout

refused() { # TEXT CMD...: fails and says that
	local text=$1
	shift
	! "$@" >"$work/log" 2>&1 && grep -q "$text" "$work/log"
}
touch "$work/ext4/shifted/foreign"
ok "an owner outside the map is named" refused "foreign: owner 0 is outside the container's id map" \
	send ext4/shifted xfs-to/shifted final from-map=b:0:100000:65536
rm "$work/ext4/shifted/foreign"
ok "an owner that the other side has no place for, too" refused "is outside the container's id map" \
	send ext4/shifted xfs-to/shifted final from-map=b:0:100000:65536 to-map=b:0:300000:60000
