#!/bin/bash
# Change tracking: random operations on a tree that is sent pass after pass from what the kernel told
# alone; after a pass over the still tree both must be the same, and whatever harms the tracking must end
# in a walk, never in something missed.
# SEED=n picks other operations, ROUNDS=n more of them, OPS=n more between two passes.
. "$(dirname "$0")/lib.sh"
SEED=${SEED:-1} ROUNDS=${ROUNDS:-12} OPS=${OPS:-1000}
plan $((2 * 2 + 11))

for kind in ext4 xfs; do
	make_fs "$kind" "$kind"
	make_fs "$kind-to" "$kind"
done

begin() { # KIND: empty trees, and a watch that is armed before the first pass
	fresh "$1/tree" "$1-to/tree"
	unwatch "$1-to/tree"
	forget "$1-to/tree"
	mkdir -p "$work/keep/$1-to.tree"
	"$BUILD/tests/tree/treecp" watch "$work/$1/tree" "$work/keep/$1-to.tree" ${2:+"$2"}
}
pass() { # KIND OPTION...
	local kind=$1
	shift
	watched "$kind/tree" "$kind-to/tree" commit "$@"
}
equal() { # KIND
	local options=(--no-project)
	[ "$1" != xfs ] || options+=(--no-layout)
	index_true "$1-to/tree" && same "$work/$1/tree" "$work/$1-to/tree" "${options[@]}"
}
final() { # KIND OPTION...: a last pass must have it all
	local kind=$1
	shift
	watched "$kind/tree" "$kind-to/tree" final "$@" && sums_agree "$kind/tree" "$kind-to/tree" &&
		"$BUILD/tests/tree/treecp" commit "$work/keep/$kind-to.tree/index" && equal "$kind" &&
		sums_agree "$kind/tree" "$kind-to/tree"
}

# A tracked pass; prints how many entries went.
sent() { # KIND
	local keep=$work/keep/$1-to.tree
	"$BUILD/tests/tree/treecp" local "$work/$1/tree" "$work/$1-to/tree" "$keep/index" "$keep/state" "watch=$keep" \
		commit tracked 2>&1 | sed -n 's/^send:.* sent=\([0-9]*\) .*/\1/p'
}

# Live passes go on beside the operations.
rounds() { # KIND MODE
	local kind=$1 mode=$2 how=(tracked) i pid status=0
	# Of what moves about while it is looked for, a live pass may think better, and walk.
	[ "$mode" != live ] || how=()
	begin "$kind"
	pass "$kind" || return 1
	for ((i = 0; i < ROUNDS; i++)); do
		churn "$work/$kind/tree" $((SEED * 1000 + i)) "$OPS" --flags &
		pid=$!
		[ "$mode" = live ] || wait "$pid"
		pass "$kind" "${how[@]}" || status=$?
		wait "$pid" || :
		[ $status = 0 ] || break
		[ $((i % 3)) != 2 ] || final "$kind" tracked || status=$?
		[ $status = 0 ] || break
	done
	[ $status = 0 ] || echo "seed $SEED, round $i"
	return $status
}
for kind in ext4 xfs; do
	for mode in still live; do
		ok "$kind, $mode, seed $SEED: nothing is missed" rounds "$kind" "$mode"
	done
done

# What the kernel tells in its own ways. Each case ends in a tracked last pass that must have it all.
tree=$work/ext4/tree
prepare() { # [bounded]
	begin ext4 "$@"
	churn "$tree" 77 3000
	mkdir -p "$tree/keep/deep/er"
	echo one >"$tree/keep/file"
	ln "$tree/keep/file" "$tree/keep/deep/other-name"
	truncate -s 40k "$tree/keep/mapped"
	sleep 2.1 # what changed just before a pass is looked at again in the next, whatever is told
	pass ext4
}

flags() {
	prepare && chattr +d +A "$tree/keep/file" && chattr +d "$tree/keep/deep/er" && final ext4 tracked
}
ok "flags of a file and a folder" flags

links() {
	prepare && echo two >>"$tree/keep/deep/other-name" && final ext4 tracked &&
		setfattr -n user.x -v y "$tree/keep/file" && final ext4 tracked &&
		rm "$tree/keep/file" && final ext4 tracked
}
ok "a file that has two names, by either" links

# The file stays mapped through a pass; letting go of it is what is told.
mapped() {
	local holder status=0
	prepare || return 1
	mkfifo "$work/go.$$" "$work/done.$$"
	python3 - "$tree/keep/mapped" "$work/go.$$" "$work/done.$$" <<'END' &
import mmap, sys
f = open(sys.argv[1], "r+b")
m = mmap.mmap(f.fileno(), 0)
f.close()
for i in range(3):
    open(sys.argv[2]).read()
    m[i * 5000] = 65 + i
    open(sys.argv[3], "w").write("x")
END
	holder=$!
	for _ in 1 2; do
		echo >"$work/go.$$"
		cat "$work/done.$$" >/dev/null
		pass ext4 tracked || status=1
	done
	echo >"$work/go.$$"
	cat "$work/done.$$" >/dev/null
	wait $holder
	rm "$work/go.$$" "$work/done.$$"
	[ $status = 0 ] && final ext4 tracked
}
ok "stores through a mapping, once it is gone" mapped

other_mount() {
	prepare || return 1
	mkdir -p "$work/bound"
	mount --bind "$tree/keep" "$work/bound"
	echo three >>"$work/bound/file"
	mv "$work/bound/deep" "$work/bound/deeper"
	umount "$work/bound"
	final ext4 tracked
}
ok "writes through another mount" other_mount

# A loop device writes without a word: while one is attached the pass must walk.
looped() {
	local dev status=0
	prepare || return 1
	truncate -s 1M "$tree/keep/image"
	dev=$(losetup --find --show "$tree/keep/image") || return 1
	pass ext4 || status=1
	sleep 2.1
	pass ext4 || status=1
	dd if=/dev/urandom of="$dev" bs=64k count=2 conv=fsync status=none
	[ $status = 0 ] && final ext4 || status=1
	losetup -d "$dev"
	return $status
}
ok "writes of a loop device" looped

# A folder of many files is renamed, moved and renamed again: nothing below it is sent.
renamed() {
	local i n
	prepare || return 1
	mkdir -p "$tree/keep/many/sub" "$tree/else"
	for i in {1..2000}; do echo "$i" >"$tree/keep/many/sub/f$i"; done
	sleep 2.1
	pass ext4 tracked || return 1
	mv "$tree/keep/many" "$tree/else/moved" && mv "$tree/else" "$tree/elsewhere"
	n=$(sent ext4)
	[ "$n" -lt 10 ] || { echo "$n were sent"; return 1; }
	final ext4 tracked
}
ok "a folder that moves stays one that moves" renamed

# A folder that goes into one that is itself elsewhere by now; what was in it has changed, too.
into_each_other() {
	prepare || return 1
	mkdir -p "$tree"/x/{a/b/c,p/q/r}
	echo 1 >"$tree/x/a/b/c/f"
	pass ext4 tracked || return 1
	mv "$tree/x/a/b/c" "$tree/x/p/q/r/" && mv "$tree/x/p/q" "$tree/x/a/b/" && mv "$tree/x/a" "$tree/x/z"
	echo 2 >>"$tree/x/z/b/q/r/c/f"
	mkdir "$tree/x/z/new" && mv "$tree/x/z/b/q/r/c" "$tree/x/z/new/"
	rm -r "$tree/x/z/b"
	final ext4 tracked
}
ok "folders that move into folders that move" into_each_other

# Reading is told, too, as flags may have changed; it must cost no more than a look.
read_only() {
	local n
	prepare && pass ext4 tracked || return 1
	cp -r "$tree" "$work/copied" 2>/dev/null
	rm -rf "$work/copied"
	n=$(sent ext4)
	[ "$n" = 0 ] || { echo "$n were sent"; return 1; }
	final ext4 tracked
}
ok "a tree that was only read" read_only

# What harms the tracking: the pass must not be tracked, must have it all, and the next one is again.
harmed() { # HOW...
	prepare "${BOUNDED:-}" || return 1
	echo four >>"$tree/keep/file"
	"$@" || return 1
	! pass ext4 tracked 2>/dev/null || { echo "it was tracked"; return 1; }
	final ext4 && echo five >>"$tree/keep/deep/other-name" && final ext4 tracked
}
watcher() { pgrep -f "wherry-watch $work/keep/ext4-to.tree/tree.watch" | head -n 1; }
overflow() {
	local pid
	pid=$(watcher)
	kill -STOP "$pid"
	(cd "$tree/keep" && for i in {1..6}; do python3 -c 'import os
for i in range(5000): os.close(os.open(f"o{i}", os.O_CREAT | os.O_WRONLY)); os.unlink(f"o{i}"); os.mkdir(f"p{i}"); os.utime(f"p{i}"); os.rmdir(f"p{i}")'; done)
	kill -CONT "$pid"
}
BOUNDED=bounded ok "a queue that runs over ends in a walk" harmed overflow
killed() {
	kill -9 "$(watcher)"
	echo unseen >>"$tree/keep/mapped"
}
ok "so does the death of the process" harmed killed
remounted() {
	umount "$work/ext4" && mount -o loop,noatime "$work/ext4.img" "$work/ext4" || return 1
	echo unseen >>"$tree/keep/mapped"
}
ok "so does a file system that was unmounted and mounted again" harmed remounted
