#!/bin/bash
# The stream breaks at random places, both sides start again, and the tree changes meanwhile: nothing
# is lost, nothing is left over, and little is sent twice.
. "$(dirname "$0")/lib.sh"
plan 9
RANDOM=${SEED:-1}

for kind in ext4 xfs btrfs; do
	make_fs "$kind" "$kind"
	make_fs "$kind-to" "$kind"
done

# Passes that break, until one comes through; each second one asks the destination what it holds.
broken_passes() { # FROM TO
	local i options
	for ((i = 0; i < 25; i++)); do
		options=(commit "cut=$((RANDOM * RANDOM % 3000000 / (1 + RANDOM % 40) + 1))")
		[ $((RANDOM % 2)) = 0 ] || options+=(resume)
		! send "$1" "$2" "${options[@]}" 2>"$work/log" || return 0
		[ ! -s "$work/log" ] || {
			cat "$work/log"
			return 1
		}
		[ $((RANDOM % 4)) != 0 ] || churn "$work/$1" "$RANDOM" 60
	done
	send "$1" "$2" commit
}

rounds() { # FROM TO OPTION...
	local from=$1 to=$2 i
	shift 2
	for ((i = 0; i < 6; i++)); do
		churn "$work/$from" "$RANDOM" 400
		broken_passes "$from" "$to" && send "$from" "$to" commit final && index_true "$to" &&
			same "$work/$from" "$work/$to" --no-project "$@" || return 1
	done
}

for pair in ext4:ext4 xfs:btrfs btrfs:xfs; do
	a=${pair%:*} b=${pair#*:}-to
	[ "$a" = xfs ] && options=(--no-layout) || options=()
	fresh "$a/tree" "$b/tree"
	ok "$a to ${pair#*:}, broken again and again" rounds "$a/tree" "$b/tree" "${options[@]}"
done

# --- how much comes again: in the middle of many files, and of one large one
sent_bytes() {
	sed -n 's/^send: .* bytes=\([0-9]*\) .*/\1/p'
}
again() { # FROM TO: what a pass sends after one that broke off
	local keep=$work/keep/${2//\//.}
	"$BUILD/tests/tree/treecp" local "$work/$1" "$work/$2" "$keep/index" "$keep/state" resume commit 2>&1 | sent_bytes
}
few() { # BYTES MOST
	[ "$1" -gt 0 ] && [ "$1" -le "$2" ]
}

fresh ext4/many ext4-to/many ext4/one ext4-to/one
for ((i = 0; i < 64; i++)); do
	head -c 1048576 /dev/urandom >"$work/ext4/many/$i"
done
head -c 67108864 /dev/urandom >"$work/ext4/one/file"
sleep 2.1 # what was written just now is read again in any case
! send ext4/many ext4-to/many cut=50000000 || diag "it was not cut"
bytes=$(again ext4/many ext4-to/many)
ok "many files: the rest and at most 16 MiB come again, $bytes of 67108864 bytes" few "$bytes" $((17108864 + 16777216))
ok "and they are the same" same "$work/ext4/many" "$work/ext4-to/many"
! send ext4/one ext4-to/one cut=50000000 || diag "it was not cut"
bytes=$(again ext4/one ext4-to/one)
ok "one large file: the same, $bytes of 67108864 bytes" few "$bytes" $((17108864 + 16777216))
ok "and it is the same" same "$work/ext4/one" "$work/ext4-to/one"

# --- changed in place: only that travels
for offset in 5000000 33000000 60000000; do
	head -c 100000 /dev/urandom | dd of="$work/ext4/one/file" bs=100000 oflag=seek_bytes seek=$offset conv=notrunc status=none
done
bytes=$(again ext4/one ext4-to/one)
ok "changed in place in three spots: $bytes bytes travel" few "$bytes" 700000
ok "and it is the same again" same "$work/ext4/one" "$work/ext4-to/one"
