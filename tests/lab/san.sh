# shellcheck shell=bash
# san.sh - for tests on a lab: block devices that both nodes see, as of a SAN. They are loop devices of the machine:
# /dev is the same in all nodes. After lib.sh. They go with the test.

_san_dir=/var/tmp/wherry-lab/$LAB

# san_up NAME SIZE: a blank one.
san_up() {
	truncate -s "$2" "$_san_dir/san.$1"
	losetup -f --show --direct-io=on "$_san_dir/san.$1" >"/run/wherry-lab/$LAB/san.$1" 2>/dev/null ||
		losetup -f --show "$_san_dir/san.$1" >"/run/wherry-lab/$LAB/san.$1"
	_sans="${_sans:-} $(cat "/run/wherry-lab/$LAB/san.$1")"
	[ "${_san_cleanup:-}" ] || cleanup san_down
	_san_cleanup=1
}

san_down() {
	local d
	for d in ${_sans:-}; do losetup -d "$d" 2>/dev/null || true; done
}

# san NAME: its device.
san() { cat "/run/wherry-lab/$LAB/san.$1"; }

# san_wipe NAME: blank again.
san_wipe() { wipefs -qa "$(san "$1")"; }

# san_copy NAME NEW: another device with the same content, as a copy made by the storage has.
san_copy() {
	cp --sparse=always "$_san_dir/san.$1" "$_san_dir/san.$2"
	san_up "$2" "$(stat -c %s "$_san_dir/san.$1")"
}

_node_pids() {
	local n
	while read -r n; do cut -d' ' -f1 "/run/wherry-lab/$LAB/$n.pid"; done <"/run/wherry-lab/$LAB/nodes"
}

_numbers() { lsblk -dno MAJ:MIN "$(san "$1")" | tr -d ' '; }

# mounted_on NAME: the nodes that have it mounted.
mounted_on() {
	local n pid
	while read -r n; do
		pid=$(cut -d' ' -f1 "/run/wherry-lab/$LAB/$n.pid")
		! grep -q "^[0-9]* [0-9]* $(_numbers "$1") " "/proc/$pid/mountinfo" || echo "$n"
	done <"/run/wherry-lab/$LAB/nodes"
}

# has_files NAME: there is a container's root on it.
has_files() {
	local where ok=0
	where=$(mktemp -d)
	mount -o ro,noload "$(san "$1")" "$where"
	[ -e "$where/etc/hostname" ] || ok=1
	umount "$where"
	rmdir "$where"
	return $ok
}

# watch_san NAME, unwatch_san: in between a detector looks who has it mounted; twice: how often both.
watch_san() {
	# shellcheck disable=SC2046,SC2154 # numbers; lib.sh's
	"$_lib_dir/detector.py" "$(_numbers "$1")" $(_node_pids) >"/run/wherry-lab/$LAB/detector" &
	_detector=$!
}

unwatch_san() {
	kill "$_detector"
	wait "$_detector" || true
}

twice() { sed -n 's/^looked .*, twice //p' "/run/wherry-lab/$LAB/detector"; }
