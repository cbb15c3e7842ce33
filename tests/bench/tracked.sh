#!/bin/bash
# Later passes of a tracked source against rsync: what tree.sh measures, with change tracking, and over a connection
# that is open already, for both (a send opens one and keeps it).
#
#   FILES=200000 RUNS=3 tests/bench/tracked.sh        # root
# shellcheck source-path=SCRIPTDIR source=tree.sh
. "$(dirname "$0")/tree.sh" none

control=$work/ssh/control
"${remote[@]}" -M -S "$control" -o ControlPersist=yes -N -f
shell+=" -S $control"
remote=(ssh -q -S "$control" root@127.0.0.1)
treecp=$(readlink -f "$treecp")
mkdir "$work/watch"
stop_all() {
	"$treecp" unwatch "$work/watch"
	ssh -q -S "$control" -O exit root@127.0.0.1
	finish
}
trap stop_all EXIT

# shellcheck disable=SC2094 # a way there and a way back
ours() {
	rm -f "$work/back"
	mkfifo "$work/back"
	"$treecp" send "$work/a/from" "$work/index" quiet commit "watch=$work/watch" <"$work/back" |
		"${remote[@]}" "$treecp recv $work/b/to $work/state quiet" >"$work/back"
}

small_files
prepare_later
for _ in 1 2; do ours; done
later "nothing changed, $FILES files, tracked" nothing
later "100 files changed, tracked" hundred
later "a folder of 5000 files renamed, tracked" move_dir
later "1 % of files deleted, tracked" remove_some
