# shellcheck shell=bash
# lib.sh - for tests of the tree engine on real filesystems, each on a loop device, in a mount
# namespace of the test's own: nothing that is mounted is seen elsewhere, and all of it goes when the
# test ends.
#
#   . "$(dirname "$0")/lib.sh"
#   plan 2
#   make_fs a ext4                          # mounted at $work/a
#   send a/src b/dst final                  # a pass; with "commit" it counts
#   ok "the same" same "$work/a/src" "$work/b/dst"

[ -n "${WHERRY_TREE_TEST:-}" ] || {
	[ "$(id -u)" = 0 ] || {
		echo "$0: needs root: it makes loop devices and mounts" >&2
		exit 1
	}
	WHERRY_TREE_TEST=1 exec unshare --mount --propagation private "$0" "$@"
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
work=$(mktemp -d "${TMPDIR:-/tmp}/wherry-tree-XXXXXX")
cleanup rm -rf --one-file-system "$work"

# make_fs NAME TYPE [SIZE]: a fresh filesystem, mounted at $work/NAME. No access times: comparing
# reads symbolic links.
make_fs() {
	truncate -s "${3:-2G}" "$work/$1.img"
	case $2 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=1,nodiscard "$work/$1.img" ;;
	*) "mkfs.$2" -q "$work/$1.img" >"$work/$1.log" 2>&1 ;;
	esac
	mkdir -p "$work/$1"
	mount -o loop,noatime "$work/$1.img" "$work/$1"
	cleanup umount -R "$work/$1"
}

# fresh DIR...: empty folders of that name below $work; what was there goes, locked or not.
fresh() {
	local d
	for d; do
		[ ! -d "$work/$d" ] || chattr -R -f -i -a "$work/$d" || true
		rm -rf --one-file-system "${work:?}/$d"
		mkdir -p "$work/$d"
	done
}

# send FROM TO OPTION...: one pass; index and state are kept beside each other by TO's name.
send() {
	local from=$1 to=$2 keep
	shift 2
	keep=$work/keep/${to//\//.}
	mkdir -p "$keep/state"
	"$BUILD/tests/tree/treecp" local "$work/$from" "$work/$to" "$keep/index" "$keep/state" quiet "$@"
}

# forget TO: the next pass is a first one.
forget() {
	rm -rf "$work/keep/${1//\//.}"
}

# index_true TO: does the index say what is there?
index_true() {
	"$BUILD/tests/tree/treecp" verify "$work/$1" "$work/keep/${1//\//.}/index"
}

same() {
	"$BUILD/tests/fidelity/same" "$@"
}
nasty() {
	"$BUILD/tests/fidelity/nasty" "$@"
}
churn() {
	"$BUILD/tests/fidelity/churn" "$@"
}
