#!/bin/bash
# test_faults.sh - a sample of the crash matrix (tests/fault/run has all of it): one fault of each kind around the
# hand-over on both sides, in a move, a clone and an undo, with everything that must hold after it.
set -eu
cd "$(dirname "$0")"
. ../tap.sh
. ./lib.sh
. ./node.sh
. ../fault/matrix.sh

# The fault points are compiled into this build only.
BUILD=$(readlink -f ../..)/build/faults
[ -e "$BUILD/build.ninja" ] || meson setup "$BUILD" ../.. -Dfaults=true >/dev/null
ninja -C "$BUILD" >/dev/null
export BUILD POOLS=btrfs

cases=(
	"move source kill handover.release.before#1"
	"move source kill handover.release.after#1"
	"move source eio handover.prepared#1"
	"move source cut handover.commit#1"
	"move source reboot handover.release.after#1"
	"move source daemon handover.stopped#1"
	"move source kill retire.destroyed#1"
	"move destination kill takeover.owner.after#1"
	"move destination enospc intake.before#2"
	"move destination eio takeover.started#1"
	"move destination reboot takeover.published#1"
	"move destination daemon takeover.prepared.before#1"
	"clone source kill handover.stopped#1"
	"clone destination kill takeover.started#1"
	"undo source kill handover.takeback#1"
	"undo destination kill receiving.promise.after#1"
)
plan $((${#cases[@]} + 3))
cleanup matrix_down
matrix_up
for case in "${cases[@]}"; do
	read -r kind side action point <<<"$case"
	run_case "$kind" "$side" "$action" "$point" "$(where_it_runs)"
	is "$verdict $why" "self " "$case: it came right by itself, in $took s"
	[ "$verdict" = self ] || {
		diag "$(cat "$WATCH/said")"
		matrix_down
		matrix_up
	}
done

# An operator's cancel whose worker dies is a cancel all the same: recovery does not go on with the send.
here=$(where_it_runs)
there=$(other "$here")
disarm
on "$here" wherry ct send config $MATRIX_CT "$there" -q
on "$here" wherry ct send rootfs $MATRIX_CT -q
echo 'step.config.undo:kill!' >"$(root_of "$here")/run/wherry-fault"
ok "the worker of a cancel dies" on "$here" sh -c "! wherry ct send cancel $MATRIX_CT"
ok "the cancel comes to its end by itself" wait_settled 60 move "$here" "$there"
is "$(where_it_runs)" "$here" "and the container stays where it was"
