# shellcheck shell=bash
# lib.sh - for tests (and the demo) that stand on a lab. A test:
#
#   set -eu
#   cd "$(dirname "$0")"
#   . ../tap.sh
#   . ./lib.sh
#   plan 1
#   lab_up                           # a lab of this test's own, gone when the test ends, however it ends
#   make_ct a web --busybox
#   on a wherry ct start web
#   is "$(ct_state a web)" RUNNING "it runs"
#   ...
#
# But for moves, nothing here counts as a test: a function that fails says why on stderr and set -e ends the test.

LAB=${LAB:-t$$}
export LAB
_lib_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# faults_build: the nodes run the build that has the fault points.
faults_build() {
	BUILD=$(readlink -f "$_lib_dir/../..")/build/faults
	[ -e "$BUILD/build.ninja" ] || meson setup "$BUILD" "$_lib_dir/../.." -Dfaults=true >/dev/null
	ninja -C "$BUILD" >/dev/null
	export BUILD
}

# lab_up: NODES, POOLS, LXCPATH_FS, BUILD in the environment: see tests/lab/lab. It goes with the test.
lab_up() {
	cleanup lab_down "$LAB"
	"$_lib_dir/lab" up | sed 's/^/# /'
}

# KEEP_LAB=1 leaves it up, to look around in.
lab_down() {
	if [ -n "${KEEP_LAB:-}" ]; then
		echo "# kept: LAB=$1 tests/lab/on a"
	else
		LAB=$1 "$_lib_dir/lab" down
	fi
}

on() { "$_lib_dir/on" "$@"; }
cut_link() { "$_lib_dir/cut" "$@"; }
reboot_node() { "$_lib_dir/reboot" "$@"; }
daemon() { "$_lib_dir/daemon" "$@"; }

# wait_for SECONDS CMD...: until CMD succeeds; a sentence and failure when it never does.
wait_for() {
	local seconds=$1 tries=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || {
			echo "not within $seconds s: $*" >&2
			return 1
		}
		sleep 0.05
	done
}

# make_ct NODE NAME [OPTIONS]: see make-ct. It is not started.
make_ct() {
	local node=$1 o
	shift
	for o in "$@"; do
		[ "$o" != --debian ] || {
			on "$node" /usr/lib/wherry-lab/make-ct "$@" <"$("$_lib_dir/debian-root")"
			return
		}
	done
	on "$node" /usr/lib/wherry-lab/make-ct "$@" </dev/null
}

# ct_state NODE NAME: RUNNING, STOPPED, FROZEN, or nothing where there is no such container.
ct_state() {
	on "$1" lxc-info -s -H -n "$2" 2>/dev/null </dev/null || true
}

# running_on NAME: the nodes where the container runs: one, never two.
running_on() {
	local n
	while read -r n; do
		[ "$(ct_state "$n" "$1")" != RUNNING ] || echo "$n"
	done <"/run/wherry-lab/$LAB/nodes"
}

# ct_root NODE NAME: where its files are on the node, as its configuration says.
ct_root() {
	on "$1" sed -n 's/^lxc[.]rootfs[.]path *= *\([a-z]*:\)\{0,1\}//p' "/var/lib/lxc/$2/config"
}

# in_ct_ids NODE NAME CMD...: on the node, but with the ids as the container sees them on its disk.
in_ct_ids() {
	local node=$1 config=/var/lib/lxc/$2/config base
	shift 2
	base=$(on "$node" sed -n 's/^lxc[.]idmap *= *u 0 \([0-9]*\) .*/\1/p' "$config")
	if [ -z "$base" ] || on "$node" grep -q '^lxc[.]rootfs[.]options.*idmap=' "$config"; then
		on "$node" "$@"
	else
		on "$node" lxc-usernsexec -m "b:0:$base:65536" -- "$@"
	fi
}

# furnish_ct NODE NAME [again]: fills /furniture in the container; `again`: changes what is there.
furnish_ct() {
	in_ct_ids "$1" "$2" /usr/lib/wherry-lab/furnish "$(ct_root "$1" "$2")/furniture" "${3:-first}"
}

# ct_manifest NODE NAME [SKIP...]: everything about its files as it sees them; skips what it writes by itself.
ct_manifest() {
	local node=$1 name=$2
	shift 2
	in_ct_ids "$node" "$name" /usr/lib/wherry-lab/manifest "$(ct_root "$node" "$name")" \
		srv dev proc sys run tmp var/log var/tmp var/lib/systemd etc/machine-id "$@"
}

# counter_lines NODE NAME: how far the container's counter is on disk.
counter_lines() {
	# shellcheck disable=SC2016 # the inner shell's
	on "$1" sh -c 'cat "$0" 2>/dev/null | wc -l' "$(ct_root "$1" "$2")/srv/counter.log"
}

counter_reached() { # NODE NAME N
	[ "$(counter_lines "$1" "$2")" -ge "$3" ]
}

# wait_counter NODE NAME [N]: until it has counted N more.
wait_counter() {
	wait_for 20 counter_reached "$1" "$2" $(($(counter_lines "$1" "$2") + ${3:-2}))
}

# counter_holes NODE NAME: the lines of the counter's log that do not follow their predecessor;
# nothing when the counter never lost a line nor went back. The first three are enough.
counter_holes() {
	# shellcheck disable=SC2016 # awk's fields
	on "$1" awk '$1 != NR || NF != 2 || $2 < last { print FILENAME ":" NR ": " $0; if (++n == 3) exit } { last = $2 }' \
		"$(ct_root "$1" "$2")/srv/counter.log"
}

# trust FROM TO [OPTIONS]: FROM may send to TO: the documented commands. Host keys are learnt by the first send.
trust() {
	local from=$1 to=$2
	shift 2
	on "$from" wherry --quiet send key gen
	# shellcheck disable=SC2016 # the node's shell
	on "$from" sh -c 'cat "$(wherry send key path public)"' |
		on "$to" wherry --quiet receive authorized-keys add "$from" "$@"
	on "$from" sh -c "ssh-keyscan -t ed25519 $to 2>/dev/null >>/var/lib/wherry/send-receive/known_hosts"
}

# refusal NODE CMD...: what CMD says when it refuses, one sentence; something else when it does not.
refusal() {
	local text
	if text=$(on "$@" 2>&1 >/dev/null </dev/null); then
		echo "(it did it)"
	elif [ "$(wc -l <<<"$text")" != 1 ]; then
		echo "(more than a sentence) $text"
	else
		echo "$text"
	fi
}

# own_ids NODE...: what arrives there gets the node's own ids.
own_ids() {
	local n
	for n in "$@"; do
		printf '[receive]\nidmap = b 0 %s 65536\n' "$(on "$n" sed -n 's/^root:\([0-9]*\):.*/\1/p' /etc/subuid)" |
			on "$n" tee -a /etc/wherry/wherry.conf >/dev/null
	done
}

# traces NODE NAME: everything on the node that belongs to a container of that name or to any that is arriving.
traces() {
	# shellcheck disable=SC2016 # the inner shell's
	on "$1" sh -c 'ls -d /var/lib/lxc/$0 /srv/*/$0 2>/dev/null
		ls -d /var/lib/lxc/.wherry/*/* /srv/*/.wherry/*/* /var/lib/wherry/transfer/* 2>/dev/null' "$2" || true
}

# moves WHAT NAME FROM TO OPTIONS...: five things hold after a running container was sent. The first line of
# a manifest is about the root itself, whose time LXC changes whenever it starts a container.
moves() {
	local what=$1 name=$2 from=$3 to=$4 before
	shift 4
	# A file: a variable would lose the newline at the end of the last name.
	before=$(mktemp)
	wait_counter "$from" "$name"
	ct_manifest "$from" "$name" | tail -n +2 >"$before"
	is "$(on "$from" wherry --quiet ct send "$name" "$to" "$@" && echo sent)" sent "$what: it is sent"
	is "$(running_on "$name")" "$to" "$what: it runs there and nowhere else"
	wait_counter "$to" "$name" || true
	is "$(counter_holes "$to" "$name")" "" "$what: its counter has no hole"
	is "$(ct_manifest "$to" "$name" | tail -n +2 | diff "$before" - | head -n 5)" "" "$what: its files are the same"
	is "$(traces "$from" "$name")" "" "$what: nothing is left where it was"
	rm "$before"
}
