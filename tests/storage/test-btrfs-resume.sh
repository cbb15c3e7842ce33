#!/bin/bash
# A btrfs stream that breaks goes on where it was: after a lost link, kill -9 of either end, a power cut.
. "$(dirname "$0")/lib.sh"
plan 26

: "${SEED:=$RANDOM}"
RANDOM=$SEED
diag "SEED=$SEED"
make_fs a btrfs
make_fs b btrfs
# What is on disk changes only when the receiver says so: a copy of the disk is what a power cut leaves.
mount -o remount,commit=300 "$work/b"
a=$work/a
disk=b
state=$work/state
MiB=1048576

fill() { # DIR SIZE: random files of 1 MiB and many small ones
	local i
	mkdir -p "$1"
	for ((i = 0; i < $2; i++)); do head -c 1000000 /dev/urandom >"$1/large$i"; done
	for ((i = 0; i < 2000; i++)); do echo "$i" >"$1/small$i"; done
}

offset() {
	[ -e "$state" ] && cut -d' ' -f1 "$state" || echo 0
}

digest() {
	[ ! -e "$state" ] || cut -d' ' -f2 "$state"
}

send() {
	exec "$BUILD/tests/storage/volctl" "$a" send web rootfs "$snap" "$from" "$(offset)" "$(digest)"
}

receive() {
	exec "$BUILD/tests/storage/volctl" "$work/$disk" receive @tok rootfs "$snap" "$from" "$state"
}

# Both ends with a link between them that carries N bytes and then nothing, in neither direction; or all of it.
begin() { # [N]
	rm -f "$work/fifo" "$work/wire"
	mkfifo "$work/fifo" "$work/wire"
	(send) >"$work/wire" 2>"$work/send.log" &
	sender=$!
	if [ $# = 1 ]; then
		{ head -c "$1"; sleep 600; } <"$work/wire" >"$work/fifo" &
	else
		cat <"$work/wire" >"$work/fifo" &
	fi
	link=$!
	(receive) <"$work/fifo" 2>"$work/receive.log" &
	receiver=$!
}

# Until what the link carries is applied up to the last cut in it, or the end.
settle() { # OFFSET
	local tries=600
	until [ "$(offset)" -ge "$1" ] || ! kill -0 "$receiver" 2>/dev/null; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# How the receiver ends, once the link carries everything.
outcome() {
	local status=0
	wait "$receiver" || status=$?
	echo "$status$(cat "$work/receive.log")"
}

end() {
	pkill -P "$link" || true
	kill "$link" "$sender" "$receiver" 2>/dev/null || true
	wait "$link" "$sender" "$receiver" 2>/dev/null || true
}

# --- one that breaks in all ways
vol a create web rootfs
furnish "$a/web/rootfs"
fill "$a/web/rootfs/fill" 120
vol a snapshot web rootfs wherry-1
snap=wherry-1 from=-

n=$((40 * MiB + RANDOM * 100))
begin $n
ok "some arrives" settle $((n - 16 * MiB))
end
before=$(offset)
ok "a broken link loses at most 16 MiB" [ "$before" -ge $((n - 16 * MiB)) ]

n=$((20 * MiB + RANDOM * 100))
begin $n
ok "it goes on" settle $((before + n - 16 * MiB))
kill -9 "$receiver" || cat "$work/receive.log"
end
ok "kill -9 of the receiver loses at most 16 MiB" [ "$(offset)" -ge $((before + n - 16 * MiB)) ]
before=$(offset)

begin $((17 * MiB))
kill -9 "$sender" || true
end
ok "kill -9 of the sender loses nothing" [ "$(offset)" -ge "$before" ]
before=$(offset)

n=$((25 * MiB))
begin $n
ok "it goes on again" settle $((before + n - 16 * MiB))
kill -9 "$receiver" || cat "$work/receive.log"
cp --sparse=always "$work/b.img" "$work/c.img"
end
before=$(offset)
mkdir "$work/c"
mount -o loop,noatime "$work/c.img" "$work/c"
cleanup umount "$work/c"
disk=c
ok "after a power cut, what was acknowledged is on the disk" ls -d "$work/c/.wherry/snap/tok/rootfs/.at-$before"
begin
outcome >"$work/outcome"
is "$(cat "$work/outcome")" 0 "and the rest arrives"
end
ok "from where it was" [ "$before" -gt $((60 * MiB)) ]
same "$a/.wherry/snap/web/rootfs/wherry-1" "$work/c/.wherry/snap/tok/rootfs/wherry-1" "all of it is the same"
is "$(find "$work/c/.wherry/snap/tok/rootfs" -mindepth 1 -maxdepth 1 -name '.*' ! -name .stream)" "" "nothing unfinished is left"
ok "nor its state" [ ! -e "$state" ]

# --- an incremental one
furnish "$a/web/rootfs" again
rm "$a"/web/rootfs/fill/small1*
mv "$a/web/rootfs/fill" "$a/web/rootfs/moved"
fill "$a/web/rootfs/more" 40
vol a snapshot web rootfs wherry-2
snap=wherry-2 from=wherry-1
n=$((20 * MiB))
begin $n
ok "a difference arrives, in part" settle $((n - 16 * MiB))
kill -9 "$receiver" || cat "$work/receive.log"
end
ok "with a cut" [ "$(offset)" -gt 0 ]
begin
outcome >"$work/outcome"
is "$(cat "$work/outcome")" 0 "it goes on"
end
same "$a/.wherry/snap/web/rootfs/wherry-2" "$work/c/.wherry/snap/tok/rootfs/wherry-2" "all of it is the same"

# --- kill -9 at any moment, many times
snap=wherry-1 from=-
vol c destroy @tok rootfs
tries=0
until [ -d "$work/c/.wherry/snap/tok/rootfs/wherry-1" ]; do
	[ $((tries += 1)) -lt 60 ] || break
	begin
	# Later and later, so that it comes to an end however slow this machine is.
	sleep "$((tries / 15)).$((RANDOM % 3))$((RANDOM % 10))"
	kill -9 "$receiver" 2>/dev/null || true
	end
done
diag "$tries tries"
same "$a/.wherry/snap/web/rootfs/wherry-1" "$work/c/.wherry/snap/tok/rootfs/wherry-1" "after kill -9 at many moments, all of it is the same"
rm -f "$state"

# --- what cannot go on says so
vol c destroy @tok rootfs
begin $((20 * MiB))
settle $((4 * MiB))
end
ok "there is something to go on from" [ "$(offset)" -gt 0 ]
good=$(offset)
send_from() { # OFFSET DIGEST
	vol a send web rootfs wherry-1 - "$1" "$2" >"$work/rest"
}
ok "the sender goes on from there" send_from "$good" "$(digest)"
whole=$(vol a send web rootfs wherry-1 - | wc -c)
is "$(stat -c %s "$work/rest")" $((whole - good)) "with exactly the rest"
fails corrupt "not where the digest is another" send_from "$good" 00000000000000000000000000000000
is "$(stat -c %s "$work/rest")" 0 "and sends nothing"
fails corrupt "not where there is no cut" send_from $((good + 1)) "$(digest)"
fails corrupt "not beyond the end" send_from $((whole + 1)) "$(digest)"
echo "$((good + 1)) $(digest)" >"$work/other"
receive_from() { # STATE
	vol c receive @tok rootfs wherry-1 - "$1" <"$work/rest"
}
fails corrupt "the receiver does not go on from what it has not" receive_from "$work/other"
send_from "$good" "$(digest)"
ok "but from what it has" receive_from "$state"
