# shellcheck shell=bash
# fs.sh - what tests on real filesystems share: root, a mount namespace of the test's own, a folder
# $work that goes with it, filesystems on loop devices. Nothing that is mounted is seen elsewhere.
# Sourced by tests/storage/lib.sh and tests/tree/lib.sh; the test's own arguments reach it.

[ -n "${WHERRY_FS_TEST:-}" ] || {
	[ "$(id -u)" = 0 ] || {
		echo "$0: needs root: it makes loop devices and mounts" >&2
		exit 1
	}
	WHERRY_FS_TEST=1 exec unshare --mount --propagation private "$0" "$@"
}
set -eu
_top=$(readlink -f "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/..")
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$_top/tests/tap.sh"

BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$_top/$BUILD ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/wherry-fs-XXXXXX")
cleanup rm -rf --one-file-system "$work"

# make_fs NAME TYPE [SIZE]: a fresh filesystem, mounted at $work/NAME. No access times: comparing
# reads symbolic links.
make_fs() {
	local opts=()
	case $2 in
	ext4) opts=(-E "lazy_itable_init=1,nodiscard") ;;
	esac
	truncate -s "${3:-2G}" "$work/$1.img"
	"mkfs.$2" -q "${opts[@]}" "$work/$1.img" >"$work/$1.log" 2>&1
	mkdir -p "$work/$1"
	mount -o loop,noatime "$work/$1.img" "$work/$1"
	cleanup umount -R "$work/$1"
}
