#!/bin/bash
# The tree engine against rsync and a tar pipe, through the same sshd, from ext4 to ext4. One line a case:
# case, seconds of ours and of the peer (medians of alternating runs; syncing the destination is part of it), ratio.
#
#   FILES=200000 RUNS=3 tests/bench/tree.sh [case...]        # root
. "$(dirname "$0")/../tree/lib.sh"
set +e
FILES=${FILES:-200000} RUNS=${RUNS:-3} BIG=${BIG:-512M}
BUILD=${BUILD:-build}
treecp=$BUILD/tests/tree/treecp
trap - EXIT
finish() {
	[ -z "${sshd:-}" ] || kill "$sshd" 2>/dev/null
	umount -R "$work"/a "$work"/b 2>/dev/null
	rm -rf --one-file-system "$work"
}
trap finish EXIT

# --- an sshd of our own on the loopback
mkdir -p /run/sshd "$work/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/key"
cp "$work/ssh/key.pub" "$work/ssh/authorized"
port=$((20000 + RANDOM % 20000))
cat >"$work/ssh/config" <<END
Port $port
ListenAddress 127.0.0.1
HostKey $work/ssh/host
AuthorizedKeysFile $work/ssh/authorized
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
END
/usr/sbin/sshd -D -f "$work/ssh/config" &
sshd=$!
sleep 1
remote=(ssh -q -p "$port" -i "$work/ssh/key" -c aes128-gcm@openssh.com -o StrictHostKeyChecking=no
	-o UserKnownHostsFile=/dev/null root@127.0.0.1)
shell="ssh -q -p $port -i $work/ssh/key -c aes128-gcm@openssh.com -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"

SIZE=${SIZE:-8G}
make_target() { # a fresh filesystem for each first copy
	umount "$work/b" 2>/dev/null
	rm -f "$work/b.img"
	truncate -s "$SIZE" "$work/b.img"
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$work/b.img"
	mkdir -p "$work/b"
	mount -o loop,noatime "$work/b.img" "$work/b"
	mkdir "$work/b/to"
}

# shellcheck disable=SC2094 # a way there and a way back
ours() {
	rm -f "$work/back"
	mkfifo "$work/back"
	"$treecp" send "$work/a/from" "$work/index" quiet commit <"$work/back" |
		"${remote[@]}" "$treecp recv $work/b/to $work/state quiet" >"$work/back"
}
by_rsync() {
	rsync -aHAXS --numeric-ids --delete -e "$shell" "$work/a/from/" "root@127.0.0.1:$work/b/to/"
	sync -f "$work/b"
}
by_tar() {
	tar -C "$work/a/from" --xattrs --xattrs-include='*' --acls --numeric-owner -cf - . |
		"${remote[@]}" "tar -C $work/b/to --xattrs --xattrs-include='*' --acls --numeric-owner -xpf -"
	sync -f "$work/b"
}

seconds() { # CMD...: how long it takes
	local from to
	from=$(date +%s%N)
	"$@" >"$work/log" 2>&1 || cat "$work/log" >&2
	to=$(date +%s%N)
	echo "$(((to - from) / 1000000))"
}
median() { sort -n | sed -n "$((($1 + 1) / 2))p"; }
line() { # CASE PEER OURS_MS PEER_MS
	printf '%-34s %-6s %8.2f %8.2f %6.2f\n' "$1" "$2" "$(bc -l <<<"$3/1000")" "$(bc -l <<<"$4/1000")" "$(bc -l <<<"$3/$4")"
}
settle() {
	sync
	[ -z "${cold:-}" ] || echo 3 >/proc/sys/vm/drop_caches
}

first() { # CASE PEER...: first copies of what is in a/from
	local name=$1 i who
	shift
	rm -f "$work"/t.*
	for ((i = 0; i < RUNS; i++)); do
		for who in ours "$@"; do
			make_target
			rm -rf "$work/index"* "$work/state"
			settle
			seconds "$who" >>"$work/t.$who"
		done
	done
	for who in "$@"; do
		line "$name" "${who#by_}" "$(median "$RUNS" <"$work/t.ours")" "$(median "$RUNS" <"$work/t.$who")"
	done
}

# Later passes: both destinations are up to date, one change, both are timed; then the other way round.
later() { # CASE CHANGE
	local name=$1 change=$2 i
	rm -f "$work"/t.*
	for ((i = 0; i < RUNS; i++)); do
		"$change" "$i"
		settle
		sleep 2.1
		seconds ours >>"$work/t.ours"
		mv "$work/b/to" "$work/b/mine" && mv "$work/b/other" "$work/b/to"
		settle
		seconds by_rsync >>"$work/t.by_rsync"
		mv "$work/b/to" "$work/b/other" && mv "$work/b/mine" "$work/b/to"
	done
	line "$name" rsync "$(median "$RUNS" <"$work/t.ours")" "$(median "$RUNS" <"$work/t.by_rsync")"
}
prepare_later() {
	make_target
	rm -rf "$work/index"* "$work/state"
	sleep 2.1
	by_rsync >/dev/null
	mv "$work/b/to" "$work/b/other" && mkdir "$work/b/to"
	ours && ours
}

small_files() {
	rm -rf "$work/a/from" && mkdir "$work/a/from"
	python3 - "$work/a/from" "$FILES" <<'END'
import os, random, sys
top, n = sys.argv[1], int(sys.argv[2])
random.seed(1)
data = os.urandom(1 << 20)
for d in range((n + 99) // 100):
    path = f"{top}/d{d // 50}/e{d}"
    os.makedirs(path)
    for i in range(min(100, n - d * 100)):
        size, at = random.randint(1024, 8192), random.randint(0, 1 << 19)
        name = f"{path}/file-{i}"
        with open(name, "wb") as f:
            f.write(data[at:at + size])
        if i % 4 == 0:
            os.chown(name, 1000, 1000)
END
}
large_files() {
	local i
	rm -rf "$work/a/from" && mkdir "$work/a/from"
	for ((i = 0; i < ${N_BIG:-4}; i++)); do
		head -c "$BIG" /dev/urandom >"$work/a/from/large-$i"
	done
}
nothing() { :; }
hundred() { find "$work/a/from" -type f | shuf -n 100 --random-source=<(yes "$1") | while read -r f; do echo "$1" >>"$f"; done; }
move_dir() { mv "$work/a/from/d$1" "$work/a/from/moved-$1"; }
remove_some() { find "$work/a/from" -type f | shuf -n $((FILES / 100)) --random-source=<(yes "$1") | xargs rm -f; }
overwrite() {
	python3 - "$work/a/from/large-0" "$1" <<'END'
import os, random, sys
random.seed(sys.argv[2])
size = os.path.getsize(sys.argv[1])
with open(sys.argv[1], "r+b") as f:
    for i in range(size // 20 // (1 << 20)):
        f.seek(random.randrange(size >> 20) << 20)
        f.write(os.urandom(1 << 20))
END
}

truncate -s "$SIZE" "$work/a.img"
mkfs.ext4 -q -E nodiscard "$work/a.img"
mkdir -p "$work/a"
mount -o loop,noatime "$work/a.img" "$work/a"
want=" ${*:-small cold later large root} "
printf '%-34s %-6s %8s %8s %6s\n' case peer ours_s peer_s ratio
case $want in *" small "* | *" cold "* | *" later "*) small_files ;; esac
case $want in *" small "*) first "first copy, $FILES small files" by_rsync by_tar ;; esac
case $want in *" cold "*) cold=1 first "the same, cold cache" by_rsync by_tar ;; esac
case $want in *" later "*)
	prepare_later
	later "nothing changed, $FILES files" nothing
	later "100 files changed" hundred
	later "a folder of 5000 files renamed" move_dir
	later "1 % of files deleted" remove_some
	;;
esac
case $want in *" large "*)
	large_files
	first "first copy, ${N_BIG:-4} x $BIG" by_rsync by_tar
	prepare_later
	later "5 % of $BIG in place" overwrite
	;;
esac
case $want in *" root "*)
	if [ -n "${ROOT:-}" ]; then
		rm -rf "$work/a/from" && cp -a "$ROOT" "$work/a/from"
		first "first copy, a Debian root" by_rsync by_tar
	fi
	;;
esac
