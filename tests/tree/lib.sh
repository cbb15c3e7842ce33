# shellcheck shell=bash
# lib.sh - for tests of the tree engine on real filesystems.
#
#   . "$(dirname "$0")/lib.sh"
#   plan 2
#   make_fs a ext4                          # mounted at $work/a
#   send a/src b/dst final                  # a pass; with "commit" it counts
#   ok "the same" same "$work/a/src" "$work/b/dst"

# shellcheck source-path=SCRIPTDIR source=../fs.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../fs.sh"

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

# watched FROM TO OPTION...: the same from a tracked source.
watched() {
	local from=$1 to=$2
	shift 2
	send "$from" "$to" "watch=$work/keep/${to//\//.}" "$@"
}
export WHERRY_WATCH=${WHERRY_WATCH:-$BUILD/src/daemon/wherry-watch}

# sums_agree FROM TO OPTION...: do walks of both, the index, and what the receiver kept say the same?
sums_agree() {
	local from=$1 to=$2 keep=$work/keep/${2//\//.}
	shift 2
	"$BUILD/tests/tree/treecp" sums "$work/$from" "$work/$to" "$keep/index" "$keep/state" "$@"
}

# unwatch TO: ends it.
unwatch() {
	"$BUILD/tests/tree/treecp" unwatch "$work/keep/${1//\//.}"
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
