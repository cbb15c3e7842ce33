# shellcheck shell=bash
# lib.sh - for measurements between two "nodes" on this machine: an sshd of their own on the loopback, filesystems on loop
# devices, runs of ours and of a peer in turns, medians. One line a case:
#
#   case | peer | seconds of ours and of the peer | their ratio | seconds of CPU of ours and of the peer | their ratio
#
# The time includes syncing the destination. CPU is what all processes of both nodes have used; threads of the kernel
# (writing back) are not in it.
#
#   FILES=200000 BIG=512M N_BIG=4 RUNS=3 SIZE=8G     how much
. "$(dirname "$0")/../fs.sh"
set +e
FILES=${FILES:-200000} BIG=${BIG:-512M} N_BIG=${N_BIG:-4} RUNS=${RUNS:-3} SIZE=${SIZE:-8G}
treecp=$BUILD/tests/tree/treecp

# --- the CPU that we and our sshd use
cgroup=/sys/fs/cgroup
[ -f $cgroup/cgroup.procs ] || cgroup=$cgroup/unified
cgroup=$cgroup/wherry-bench.$$
if mkdir $cgroup 2>/dev/null && echo $$ >$cgroup/cgroup.procs 2>/dev/null; then
	leave_cgroup() {
		echo $$ >"$(dirname "$cgroup")/cgroup.procs"
		rmdir "$cgroup" 2>/dev/null
	}
	cleanup leave_cgroup
else
	cgroup=
fi
cpu_ms() {
	if [ -z "$cgroup" ]; then
		echo 0
	else
		awk '/^usage_usec/ { printf "%d", $2 / 1000 }' "$cgroup/cpu.stat"
	fi
}

# --- an sshd on the loopback
mkdir -p /run/sshd "$work/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/key"
cp "$work/ssh/key.pub" "$work/ssh/authorized"
port=$((20000 + RANDOM % 12000))
cat >"$work/ssh/config" <<END2
Port $port
ListenAddress 127.0.0.1
HostKey $work/ssh/host
AuthorizedKeysFile $work/ssh/authorized
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
END2
/usr/sbin/sshd -D -f "$work/ssh/config" &
cleanup kill $!
sleep 1
shell="ssh -q -p $port -i $work/ssh/key -c aes128-gcm@openssh.com -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
read -ra remote <<<"$shell root@127.0.0.1"

# --- filesystems
mkfs_on() { # TYPE IMAGE
	case $1 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$2" ;;
	btrfs) mkfs.btrfs -q -f -K "$2" >/dev/null ;;
	*) "mkfs.$1" -q "$2" ;;
	esac
}
make_source() { # TYPE: mounted at $work/a
	truncate -s "$SIZE" "$work/a.img"
	mkfs_on "$1" "$work/a.img"
	mkdir -p "$work/a"
	mount -o loop,noatime "$work/a.img" "$work/a"
	cleanup umount -R "$work/a"
}
# A fresh one for each first copy, mounted at $work/b. Its blocks are not new to the disk below: what that costs would come
# on top of the first runs only.
make_target() { # TYPE
	if mountpoint -q "$work/b"; then
		umount "$work/b"
	else
		mkdir -p "$work/b"
		head -c "$SIZE" /dev/zero >"$work/b.img"
		cleanup umount -R "$work/b"
	fi
	mkfs_on "$1" "$work/b.img"
	mount -o loop,noatime "$work/b.img" "$work/b"
	mkdir "$work/b/to"
}

# --- what is copied
small_files() { # DIR: 1-8 KiB each, a quarter of another owner, 10,000 below each of the first folders
	python3 - "$1" "$FILES" <<'END2'
import os, random, sys
top, n = sys.argv[1], int(sys.argv[2])
random.seed(1)
data = os.urandom(1 << 20)
for d in range((n + 99) // 100):
    path = f"{top}/d{d // 100}/e{d}"
    os.makedirs(path)
    for i in range(min(100, n - d * 100)):
        size, at = random.randint(1024, 8192), random.randint(0, 1 << 19)
        name = f"{path}/file-{i}"
        with open(name, "wb") as f:
            f.write(data[at:at + size])
        if i % 4 == 0:
            os.chown(name, 1000, 1000)
END2
}
large_files() { # DIR
	local i
	for ((i = 0; i < N_BIG; i++)); do
		head -c "$BIG" /dev/urandom >"$1/large-$i"
	done
}

# --- measuring
touch_memory() { # a virtual machine may have given free memory back: whoever runs next would pay for it
	python3 -c '
b = bytearray(1500 << 20)
for i in range(0, len(b), 4096):
    b[i] = 1'
}
settle() {
	sync
	if [ -n "${cold:-}" ]; then
		echo 3 >/proc/sys/vm/drop_caches
	else
		tar -cf - -C "${source:?}" . | cat >/dev/null
	fi
	touch_memory
}
timed() { # NAME CMD...: a run of NAME
	local name=$1 from cpu
	shift
	cpu=$(cpu_ms)
	from=$(date +%s%N)
	"$@" >"$work/log" 2>&1 || diag "$name: $(tail -n 3 "$work/log")"
	echo $((($(date +%s%N) - from) / 1000000)) >>"$work/t.$name"
	echo $(($(cpu_ms) - cpu)) >>"$work/c.$name"
}
median() { # FILE
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
header() {
	printf '| %-34s | %-13s | %7s | %7s | %5s | %7s | %7s | %5s |\n' case peer ours_s peer_s ratio ours_cpu peer_cpu ratio
	echo '|---|---|---|---|---|---|---|---|'
}
line() { # CASE PEER
	awk -v what="$1" -v peer="${2#by_}" -v o="$(median "$work/t.ours")" -v p="$(median "$work/t.$2")" \
		-v oc="$(median "$work/c.ours")" -v pc="$(median "$work/c.$2")" 'BEGIN {
		printf "| %-34s | %-13s | %7.2f | %7.2f | %5.2f | %7.2f | %7.2f | %5.2f |\n", what, peer,
			o / 1000, p / 1000, o / p, oc / 1000, pc / 1000, pc ? oc / pc : 0 }'
}
clear_times() {
	rm -f "$work"/t.* "$work"/c.*
}
first() { # CASE TYPE PEER...: first copies of $source to a filesystem of that type
	local name=$1 type=$2 i who
	shift 2
	clear_times
	for ((i = 0; i < RUNS; i++)); do
		for who in ours "$@"; do
			make_target "$type"
			rm -rf "$work/index"* "$work/state"
			settle
			timed "$who" "$who"
		done
	done
	for who in "$@"; do
		line "$name" "$who"
	done
}

# --- the ways
ours() {
	rm -f "$work/back"
	mkfifo "$work/back"
	# shellcheck disable=SC2094 # a way there and a way back
	"$treecp" send "$source" "$work/index" quiet commit <"$work/back" |
		"${remote[@]}" "$treecp recv $work/b/to $work/state quiet" >"$work/back"
}
by_rsync() {
	rsync -aHAXS --numeric-ids --delete -e "$shell" "$source/" "root@127.0.0.1:$work/b/to/"
	sync -f "$work/b"
}
by_tar() {
	tar -C "$source" --xattrs --xattrs-include='*' --acls --numeric-owner -cf - . |
		"${remote[@]}" "tar -C $work/b/to --xattrs --xattrs-include='*' --acls --numeric-owner -xpf -"
	sync -f "$work/b"
}
