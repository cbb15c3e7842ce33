# shellcheck shell=bash
# lib.sh - for tests that stand on virtual machines: with ZFS and LVM, see tests/vm/vm. A test:
#
#   set -eu
#   . "$(dirname "$0")/lib.sh"
#   plan 2
#   vm_up 2				# a and b, gone when the test ends, however it ends
#   ok "it answers" on a true
#
# In the machines: what the build installs, /usr/lib/wherry-lab as on the nodes of the lab, and this tree's tests with
# the programs that they need, at /usr/lib/wherry-tests.
_vm_lib=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
_top=$(readlink -f "$_vm_lib/../..")
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$_vm_lib/../tap.sh"

VM=${VM:-t$$}
export VM
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$_top/$BUILD ;;
esac

[ "$(id -u)" = 0 ] || {
	echo "$0: needs root: it builds a root filesystem" >&2
	exit 1
}
work=$(mktemp -d "${TMPDIR:-/tmp}/wherry-vm-XXXXXX")
cleanup rm -rf --one-file-system "$work"

on() { "$_vm_lib/vm" on "$@"; }

# The tree that every machine gets, as a tar file.
_vm_payload() {
	local stage=$work/stage tests=$work/stage/usr/lib/wherry-tests lab=$work/stage/usr/lib/wherry-lab
	DESTDIR=$stage meson install -C "$BUILD" --no-rebuild --quiet >"$work/install.log" 2>&1 || {
		cat "$work/install.log" >&2
		return 1
	}
	mkdir -p "$lab" "$tests/tests" "$tests/build/tests/storage"
	cp -p "$_top"/tests/lab/{apply,counter,furnish,make-ct,manifest} "$lab/"
	cp -a "$_top"/tests/{tap.sh,fs.sh,lab,storage,tree,vm} "$tests/tests/"
	cp -p "$BUILD/tests/storage/volctl" "$tests/build/tests/storage/"
	find "$stage/usr" -type f -perm /111 -size +200k -exec strip -g {} + 2>/dev/null || true
	tar -C "$stage" -cf "$work/payload.tar" --owner=0 --group=0 .
	rm -rf "$stage"
}

# vm_up [HOW-MANY]
vm_up() {
	_vm_payload
	cleanup vm_down
	VM_PAYLOAD=$work/payload.tar "$_vm_lib/vm" up "${1:-1}"
}

# KEEP_VM=1 leaves them up, to look around in.
vm_down() {
	if [ -n "${KEEP_VM:-}" ]; then
		echo "# kept: VM=$VM tests/vm/vm on a bash"
	else
		"$_vm_lib/vm" down
	fi
}

# vm_script MACHINE SCRIPT: a TAP script of tests/vm/inside, run there, tells its results here: in place of a plan.
vm_script() {
	local status=0
	on "$1" "/usr/lib/wherry-tests/tests/vm/inside/$2" | tee "$work/tap" || status=$?
	_tap_planned=$(sed -n 's/^1\.\.//p' "$work/tap")
	_tap_done=$(grep -cE '^(not )?ok ' "$work/tap") || true
	_tap_failed=$(grep -c '^not ok ' "$work/tap") || true
	return $status
}

# wait_for SECONDS CMD...: until CMD succeeds.
wait_for() {
	local seconds=$1 end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1 </dev/null; do
		[ $SECONDS -lt $end ] || {
			echo "not within $seconds s: $*" >&2
			return 1
		}
		sleep 0.3
	done
}

# vm_wherry MACHINE...: what an installer does with the files that a package brings.
vm_wherry() {
	local n
	# shellcheck disable=SC2016 # the machine's shell
	for n in "$@"; do
		on "$n" sh -ec 'systemd-sysusers /usr/lib/sysusers.d/wherry*.conf
			systemd-tmpfiles --create /usr/lib/tmpfiles.d/wherry*.conf
			echo "root:$((1000000 * $(cat /etc/vm-number))):655360" | tee /etc/subuid >/etc/subgid
			systemctl daemon-reload
			systemctl reload ssh
			systemctl start wherryd' 2>&1 | sed 's/^/# /'
	done
}

# vm_pool MACHINE [OPTIONS]: a pool of ZFS on its own disk, at /srv/zfs, known to Wherry as "zfs".
vm_pool() {
	local n=$1
	shift
	on "$n" modprobe zfs
	# It makes partitions, which it looks for by the name of the disk.
	on "$n" zpool create -f -O acltype=posix -O xattr=sa -O mountpoint=/srv/zfs "$@" tank \
		"$(on "$n" readlink -f /dev/vm/disk)"
	on "$n" wherry --quiet pool add zfs /srv/zfs
}

# vm_lab: the helpers of the lab's tests (make_ct, ct_state, trust, ...) for these machines.
vm_lab() {
	_vm_names=$*
	# shellcheck source-path=SCRIPTDIR source=../lab/lib.sh
	. "$_top/tests/lab/lib.sh"
	# shellcheck disable=SC2317 # for what was sourced
	on() { "$_vm_lib/vm" on "$@"; }
	# shellcheck disable=SC2317
	running_on() {
		local n
		for n in $_vm_names; do
			[ "$(ct_state "$n" "$1")" != RUNNING ] || echo "$n"
		done
	}
}
