# shellcheck shell=bash
# lib.sh - for tests of storage on real filesystems, each on a loop device, in a mount namespace of the
# test's own: nothing that is mounted is seen elsewhere, and all of it goes when the test ends.
#
#   . "$(dirname "$0")/lib.sh"
#   plan 2
#   make_fs a btrfs                 # mounted at $work/a
#   ok "a volume is made" vol a create web rootfs
#   fails not-found "a snapshot that is not there" vol a snapshot-root web rootfs none

[ -n "${WHERRY_STORAGE_TEST:-}" ] || {
	[ "$(id -u)" = 0 ] || {
		echo "$0: needs root: it makes loop devices and mounts" >&2
		exit 1
	}
	WHERRY_STORAGE_TEST=1 exec unshare --mount --propagation private "$0" "$@"
}
set -eu
_lib_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$_lib_dir/../tap.sh"
_top=$(readlink -f "$_lib_dir/../..")

BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$_top/$BUILD ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/wherry-storage-XXXXXX")
cleanup rm -rf --one-file-system "$work"

# make_fs NAME TYPE [SIZE]: a fresh filesystem, mounted at $work/NAME.
make_fs() {
	truncate -s "${3:-2G}" "$work/$1.img"
	case $2 in
	xfs) mkfs.xfs -q -f "$work/$1.img" ;;
	*) mkfs."$2" -q "$work/$1.img" >"$work/$1.log" 2>&1 ;;
	esac
	mkdir -p "$work/$1"
	mount -o loop,noatime "$work/$1.img" "$work/$1"
	cleanup umount -R "$work/$1"
}

# vol NAME VERB ...: volctl on the pool at $work/NAME.
vol() {
	local pool=$work/$1
	shift
	"$BUILD/tests/storage/volctl" "$pool" "$@"
}

# fails CODE DESCRIPTION CMD...: that it fails with this kind of error. $said is what it said.
said=
fails() {
	local code=$1 what=$2
	shift 2
	if said=$("$@" 2>&1 >/dev/null); then
		_tap_result 1 "$what"
		diag "it did not fail: $*"
	else
		like "$said" "^$code: " "$what"
	fi
}

# furnish DIR [again]: see tests/lab/furnish; without the one thing that a btrfs stream cannot say.
furnish() {
	"$_top/tests/lab/furnish" "$@"
	find "$1" -mindepth 1 -maxdepth 1 -name '0*1' -exec rm -rf {} +
}

# tree DIR: everything about the files below it, as text; lsattr for what only chattr says.
tree() {
	"$_top/tests/lab/manifest" "$1"
	(cd "$1" && find . -printf '%P %A@\n' | sort)
	(cd "$1" && find . \( -type f -o -type d \) -print0 | sort -z | xargs -0 lsattr -d 2>/dev/null) || true
}

# same DIR DIR DESCRIPTION
same() {
	tree "$1" >"$work/tree.1"
	tree "$2" >"$work/tree.2"
	ok "$3" diff -u "$work/tree.1" "$work/tree.2"
}

# has_faults: the build can be told to crash at named points.
has_faults() {
	WHERRY_FAULT_TRACE=$work/trace vol "$1" destroy @none rootfs && [ -e "$work/trace" ]
}
