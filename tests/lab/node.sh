# shellcheck shell=bash
# node.sh - what the commands of the lab share: names, cgroups, the network, the life of a node.
# Sourced, never run. A lab is found again by its name alone, so that what a crashed lab left
# behind can be removed without any record of it:
#
#   processes, cgroups   every hierarchy: wherry-lab.$LAB.NODE
#   network              named namespaces: wherry.$LAB (the switch), wherry.$LAB.NODE
#   disks                /var/tmp/wherry-lab/$LAB/NODE.{root,lxc,ext4,btrfs}.img, on loop devices
#   state                /run/wherry-lab/$LAB: nodes, NODE.pid, NODE.log
#
# Mounts live only in the nodes' mount namespaces and go with their processes.

LAB=${LAB:-lab}
LAB_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
LAB_RUN=/run/wherry-lab/$LAB
LAB_DISKS=/var/tmp/wherry-lab/$LAB
LAB_NET=wherry.$LAB
LAB_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

lab_check_name() {
	case $LAB in
	'' | *[!a-z0-9_-]*) die "the name of a lab (LAB=) is made of a-z, 0-9, - and _, not '$LAB'" ;;
	esac
}

need_root() {
	[ "$(id -u)" = 0 ] || die "a lab needs root: it makes namespaces, loop devices and bridges"
}

# One command at a time may change a lab.
lab_lock() {
	mkdir -p /run/wherry-lab
	exec 8>"/run/wherry-lab/$LAB.lock"
	flock -w 120 8 || die "another command works on the lab '$LAB'"
}

# lab_nodes: the nodes of the running lab, in their order.
lab_nodes() {
	cat "$LAB_RUN/nodes" 2>/dev/null
}

lab_must_be_up() {
	[ -s "$LAB_RUN/nodes" ] || die "the lab '$LAB' is not up: tests/lab/lab up"
}

# node_index NODE: 1, 2, ...; its address ends with it.
node_index() {
	local i=1 n
	for n in $(lab_nodes); do
		[ "$n" != "$1" ] || { echo "$i"; return 0; }
		i=$((i + 1))
	done
	die "the lab '$LAB' has no node '$1' (it has: $(lab_nodes | tr '\n' ' '))"
}

# node_pid NODE: process 1 of the node as the machine sees it; fails when the node does not run.
node_pid() {
	local pid ns
	read -r pid ns 2>/dev/null <"$LAB_RUN/$1.pid" || return 1
	[ "$(readlink "/proc/$pid/ns/pid" 2>/dev/null)" = "$ns" ] || return 1
	echo "$pid"
}

# wait_gone SECONDS CMD...: until CMD fails.
wait_gone() {
	local tries=$(($1 * 50))
	shift
	while "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.02
	done
}

# --- cgroups. Version 1 hierarchies and version 2, alone or both.

cgroup_mounts() {
	awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/self/mounts
}

# cgroup_dirs [NODE]: of one node or of all that the lab's name has.
cgroup_dirs() {
	local m d
	for m in $(cgroup_mounts); do
		for d in "$m/wherry-lab.$LAB."${1:-*}; do
			[ ! -d "$d" ] || echo "$d"
		done
	done
}

cgroup_create() {
	local m d
	for m in $(cgroup_mounts); do
		d=$m/wherry-lab.$LAB.$1
		mkdir -p "$d"
		if [ -e "$d/cpuset.cpus" ] && [ -e "$d/cgroup.clone_children" ]; then
			cat "$m/cpuset.cpus" >"$d/cpuset.cpus"
			cat "$m/cpuset.mems" >"$d/cpuset.mems"
			echo 1 >"$d/cgroup.clone_children"
		fi
		# Version 2 wants processes only in the leaves; LXC knows this name.
		[ ! -e "$d/cgroup.subtree_control" ] || mkdir -p "$d/init.scope"
	done
}

# cgroup_join NODE: the calling shell enters the node's cgroups.
cgroup_join() {
	local d
	for d in $(cgroup_dirs "$1"); do
		[ ! -d "$d/init.scope" ] || d=$d/init.scope
		echo "$BASHPID" >"$d/cgroup.procs"
	done
}

cgroup_pids() {
	local d
	for d in $(cgroup_dirs "${1:-}"); do
		find "$d" -name cgroup.procs -exec cat {} + 2>/dev/null
	done | sort -un
}

cgroup_has_pids() {
	[ -n "$(cgroup_pids "${1:-}")" ]
}

# cgroup_kill [NODE]: nothing of the node survives, frozen containers included.
cgroup_kill() {
	local d f tries=100
	while cgroup_has_pids "${1:-}"; do
		# shellcheck disable=SC2046 # numbers
		kill -9 $(cgroup_pids "${1:-}") 2>/dev/null || true
		for d in $(cgroup_dirs "${1:-}"); do
			find "$d" -name freezer.state
		done | while read -r f; do
			echo THAWED >"$f" 2>/dev/null || true
		done
		[ $((tries -= 1)) -gt 0 ] || die "processes of the lab do not die: $(cgroup_pids "${1:-}" | tr '\n' ' ')"
		sleep 0.02
	done
}

cgroup_remove() {
	local d
	for d in $(cgroup_dirs "${1:-}"); do
		find "$d" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[ ! -d "$d" ] || wait_gone 5 cgroup_rmdir_again "$d" || die "cannot remove the cgroup $d"
	done
}

cgroup_rmdir_again() {
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
	[ -d "$1" ]
}

# --- the network: one flat segment. The switch's own namespace is also a place of its own on it,
# 10.99.0.254, for a client that is on no node.

net_switch_up() {
	ip netns add "$LAB_NET"
	ip -n "$LAB_NET" link set lo up
	ip -n "$LAB_NET" link add sw0 type bridge
	ip -n "$LAB_NET" addr add 10.99.0.254/24 dev sw0
	ip -n "$LAB_NET" link set sw0 up
	# A client asks again soon where a silent address is: no second is lost to that in what it measures.
	ip netns exec "$LAB_NET" sysctl -qw net.ipv4.neigh.sw0.retrans_time_ms=100
}

# The node's address sits on br0 and containers are ports of br0, so that a container keeps its
# address wherever it runs. The hardware address is fixed: a rebooted node is reached at once.
net_node_up() {
	local ns=$LAB_NET.$1 i
	i=$(node_index "$1")
	ip netns add "$ns"
	ip -n "$LAB_NET" link add "port-$1" type veth peer name eth0 netns "$ns"
	ip -n "$LAB_NET" link set "port-$1" master sw0 up
	[ -z "${RATE:-}" ] ||
		tc -n "$LAB_NET" qdisc add dev "port-$1" root tbf rate "$RATE" burst 256k latency 50ms
	ip -n "$ns" link set lo up
	ip -n "$ns" link add br0 type bridge
	ip -n "$ns" link set br0 address "02:00:0a:63:00:$(printf %02x "$i")"
	ip -n "$ns" link set eth0 up master br0
	ip -n "$ns" addr add "10.99.0.$i/24" dev br0
	ip -n "$ns" link set br0 up
	ip -n "$ns" link add lxcbr0 type bridge
	ip -n "$ns" addr add 10.0.3.1/24 dev lxcbr0
	ip -n "$ns" link set lxcbr0 up
}

net_names() {
	local f
	for f in "/run/netns/$LAB_NET" "/run/netns/$LAB_NET".*; do
		[ ! -e "$f" ] || basename "$f"
	done
}

# --- disks

disk_image() { # NODE WHAT
	echo "$LAB_DISKS/$1.$2.img"
}

disk_create() { # NODE WHAT FSTYPE
	local img
	img=$(disk_image "$1" "$2")
	truncate -s "${SIZE:-16G}" "$img"
	case $3 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 "$img" ;;
	btrfs) mkfs.btrfs -q "$img" >/dev/null ;;
	xfs) mkfs.xfs -q "$img" ;;
	*) die "the lab makes ext4, btrfs and xfs, not '$3'" ;;
	esac
}

disk_busy() { # NODE-OR-GLOB
	losetup -n -O BACK-FILE 2>/dev/null | grep -q "^$LAB_DISKS/$1\\."
}

# --- a node

# node_boot NODE: starts process 1 and waits for its word. What it says goes to NODE.log.
node_boot() {
	local node=$1 i answer pid fifo=$LAB_RUN/$1.ready
	i=$(node_index "$node")
	cgroup_create "$node"
	net_node_up "$node"
	rm -f "$fifo"
	mkfifo "$fifo"
	(
		cgroup_join_outer "$node"
		exec 8>&-
		exec env -i LAB="$LAB" PATH="$LAB_PATH" setsid nsenter --net="/run/netns/$LAB_NET.$node" unshare --cgroup \
			"$LAB_DIR/node-init" launch "$node" "$i"
	) >>"$LAB_RUN/$node.log" 2>&1 </dev/null &
	{ read -r -t 30 pid && read -r -t 30 answer; } <"$fifo" || answer=
	rm -f "$fifo"
	if [ "$answer" != ready ]; then
		tail -n 20 "$LAB_RUN/$node.log" >&2
		die "node $node did not come up (above: the end of $LAB_RUN/$node.log)"
	fi
	echo "$pid $(readlink "/proc/$pid/ns/pid")" >"$LAB_RUN/$node.pid"
}

# The cgroup namespace is rooted where its maker is: version 2 enters its leaf only afterwards.
cgroup_join_outer() {
	local d
	for d in $(cgroup_dirs "$1"); do
		echo "$BASHPID" >"$d/cgroup.procs"
	done
}

# node_kill NODE: everything in the node ends, its file systems are unmounted, its network is gone.
node_kill() {
	local pid
	if pid=$(node_pid "$1"); then
		kill -9 "$pid" 2>/dev/null || true
	fi
	cgroup_kill "$1"
	cgroup_remove "$1"
	# The kernel empties a namespace in its own time: the port must not wait for that.
	ip -n "$LAB_NET" link del "port-$1" 2>/dev/null || true
	ip netns del "$LAB_NET.$1" 2>/dev/null || true
	wait_gone 10 disk_busy "$1" || die "the disks of node $1 stay in use: losetup -l"
	rm -f "$LAB_RUN/$1.pid"
}

# node_exec NODE CMD...: replaces the calling shell by CMD inside the node.
node_exec() {
	local node=$1 pid
	shift
	pid=$(node_pid "$node") || die "node $node of the lab '$LAB' does not run"
	cgroup_join "$node"
	exec 8>&-
	exec nsenter -t "$pid" -m -u -i -n -p -C -r --wdns=/root env -i HOME=/root USER=root LOGNAME=root \
		SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}" PATH="$LAB_PATH" "$@"
}
