#!/bin/bash
# kill -9 at each point where it matters, and the same call again: it comes to the same end, and leaves nothing.
. "$(dirname "$0")/lib.sh"
plan 36

make_fs a btrfs
make_fs b btrfs
a=$work/a
b=$work/b
state=$work/state

vol a create web rootfs
furnish "$a/web/rootfs"
head -c 60M /dev/urandom >"$a/web/rootfs/large"
vol a snapshot web rootfs wherry-1
snap=$a/.wherry/snap/web/rootfs/wherry-1
# Where something is put into the trash, so that there is a point to pass.
vol b create @none rootfs
if ! has_faults b; then
	skip "needs: a build with fault points (meson -Dfaults=true)" 36
	exit 0
fi

dies() { # POINT[@PASS] CMD...
	local point=${1%@*} pass=${1#"${1%@*}"} status=0
	shift
	(WHERRY_FAULT="$point:kill$pass" "$@") >/dev/null 2>&1 || status=$?
	[ $status = 137 ]
}

receive() {
	local at=() text
	if [ -e "$state" ]; then
		text=$(cat "$state")
		# shellcheck disable=SC2206 # two words
		at=($text)
	fi
	vol a send web rootfs wherry-1 - "${at[@]}" 2>/dev/null | vol b receive @tok rootfs wherry-1 - "$state"
}

for point in cut@1 cut.made@1 cut.durable@1 cut@3 cut.made@3 cut.durable@3 seal sealed; do
	rm -f "$state"
	ok "receive dies at $point" dies "storage.receive.$point" receive
	ok "and goes on" receive
	same "$snap" "$b/.wherry/snap/tok/rootfs/wherry-1" "all of it is there"
	[ $point = sealed ] || vol b destroy @tok rootfs
done

ok "finish dies where the old one is gone and the new one not made" dies storage.finish.make vol b finish @tok rootfs wherry-1
ok "and comes to its end" vol b finish @tok rootfs wherry-1
is "$(find "$b/.wherry/snap/tok/rootfs" -mindepth 1 -maxdepth 1 -printf %f)" wherry-1 "nothing of receiving is left"
ok "publish dies between the snapshots and the volume" dies storage.publish.half vol b publish web rootfs tok
ok "and comes to its end" vol b publish web rootfs tok
same "$snap" "$b/web/rootfs" "all of it is there"
is "$(vol b snapshots web rootfs)" "wherry-1 own" "with its snapshot"
ok "destroy dies in the midst of it" dies storage.trash.moved vol b destroy web rootfs
ok "the volume is no longer seen" [ ! -e "$b/web/rootfs" ]
ok "a second call destroys the rest" vol b destroy web rootfs
ok "and a sweep what was in the trash" vol b sweep x x
is "$(find "$b" -mindepth 3)" "" "nothing is left"
