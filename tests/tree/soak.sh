#!/bin/bash
# Random operations on a tree beside live passes, for hours: after every third round a pass over the still
# tree, and both trees are compared, contents and all, by a program that shares nothing with the engine.
# Not one of the tests of make check. A difference ends it: both trees, index, state and what was done last
# are then in $KEEP (a folder in /var/tmp by default).
#
#   HOW=walked|tracked  FROM=ext4  TO=ext4  SEED=n  ROUNDS=200  OPS=6000  SPARSE=1  tests/tree/soak.sh
#
# SPARSE=1: few large files with holes and several names each, instead of many of all kinds. BETWEEN=n: a
# pass over the still tree after so many rounds.
. "$(dirname "$0")/lib.sh"
HOW=${HOW:-walked} FROM=${FROM:-ext4} TO=${TO:-ext4} SEED=${SEED:-1} ROUNDS=${ROUNDS:-200} OPS=${OPS:-6000}
BETWEEN=${BETWEEN:-3}
KEEP=${KEEP:-/var/tmp/wherry-soak-$HOW-$FROM-$TO-$SEED}
plan 1

mkdir -p "$work/keep"
make_fs from "$FROM"
make_fs to "$TO"
fresh from/tree to/tree
options=(--no-project)
[ "$FROM" != xfs ] || options+=(--no-layout) # what xfs has allocated ahead shows as data until it is written
churns=(--flags)
[ "${SPARSE:-0}" = 0 ] || churns+=(--sparse)
operations=0 passes=0 tracked=0

pass() { # OPTION...
	local keep=$work/keep/to.tree status=0
	mkdir -p "$keep/state"
	[ "$HOW" != tracked ] || set -- "watch=$keep" "$@"
	"$BUILD/tests/tree/treecp" local "$work/from/tree" "$work/to/tree" "$keep/index" "$keep/state" "$@" \
		2>"$work/said" || status=$?
	grep -v '^recv: ' "$work/said" >&2
	passes=$((passes + 1))
	! grep -q '^send: .* tracked=1$' "$work/said" || tracked=$((tracked + 1))
	return $status
}
last_pass() {
	pass final commit && index_true to/tree && same "$work/from/tree" "$work/to/tree" "${options[@]}" &&
		sums_agree from/tree to/tree
}
round() { # NUMBER
	local pid status=0
	rm -f "$work/story.$(($1 - 2 * BETWEEN))"
	churn "$work/from/tree" $((SEED * 100000 + $1)) "$OPS" "${churns[@]}" --log "$work/story.$1" &
	pid=$!
	while kill -0 $pid 2>/dev/null && [ $status = 0 ]; do
		pass commit || status=$?
	done
	wait $pid
	operations=$((operations + OPS))
	return $status
}
keep() {
	rm -rf "$KEEP"
	mkdir -p "$KEEP"
	cp -a "$work/from/tree/." "$KEEP/from" || : # as it is read, also where it is not on disk yet
	umount "$work/from" "$work/to"
	cp -a --sparse=always "$work"/from.img "$work"/to.img "$work"/keep "$work"/story.* "$work/log" "$KEEP/" || :
}
rounds() {
	local i
	for ((i = 1; i <= ROUNDS; i++)); do
		round $i || return 1
		((i % BETWEEN)) || last_pass || return 1
	done
}

pass commit >"$work/log" 2>&1
status=0
begun=$SECONDS
rounds >"$work/log" 2>&1 || status=$?
[ "$status" = 0 ] || {
	diag "$(tail -n 40 "$work/log")"
	keep
	diag "both trees and what was done last: $KEEP"
}
[ "$HOW" != tracked ] || unwatch to/tree
diag "$operations operations in $passes passes, $tracked of them tracked, $((SECONDS - begun)) s"
ok "$HOW, $FROM to $TO, seed $SEED: $operations operations and nothing is missed" test "$status" = 0
