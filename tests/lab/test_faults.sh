#!/bin/bash
# test_faults.sh - a sample of the crash matrix (tests/fault/run has all of it): one fault of each kind around the
# hand-over on both sides, in a move, a clone and an undo, with everything that must hold after it.
set -eu
cd "$(dirname "$0")"
. ../tap.sh
. ./lib.sh
. ./node.sh
. ../fault/matrix.sh

faults_build
export POOLS=btrfs

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
plan $((${#cases[@]} + 39))
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

# faults NODE ENTRIES: as src/base/fault.h has them.
faults() {
	echo "$2" >"$(root_of "$1")/run/wherry-fault"
}
step() { # NODE WORD...: of the send, quietly
	on "$1" wherry -q ct send "${@:2}"
}

# Between the stop of a container that did not come up and its way back, nobody else may start it there.
there=$(other "$here")
step "$here" config $MATRIX_CT "$there"
step "$here" rootfs $MATRIX_CT
faults "$there" 'takeover.started:eio,takeover.stopped:hold!'
on "$here" wherry ct send state $MATRIX_CT >"$WATCH/said" 2>&1 </dev/null &
pid=$!
wait_for 30 fired "$there"
ok "it is stopped, and not gone yet: lxc-start by hand is refused" on "$there" sh -c "! lxc-start $MATRIX_CT"
like "$(refusal "$there" wherry ct start $MATRIX_CT)" 'in use|belongs to' "and so is ct start"
is "$(on "$there" wherry ct own $MATRIX_CT | grep -c released)" 1 "it is not owned there any more"
release "$there"
wait $pid && status=0 || status=$?
is "$status" 18 "the send has failed: health"
ok "it runs where it was" wait_for 30 runs_on "$here" $MATRIX_CT
like "$(cat "$WATCH/said")" 'gave container .* back' "the send says that it was given back"

# The same, and the worker dies over it: before it is written that it goes back, it is tried once more.
for point in withdrawn.before withdrawn.after stopped; do
	faults "$there" "takeover.started:eio,takeover.$point:kill!"
	# shellcheck disable=SC2046 # words
	on "$here" wherry $(send_words move "$here" "$there") >"$WATCH/said" 2>&1 </dev/null || true
	ok "... it comes right by itself when the worker dies at $point" wait_settled 90 move "$here" "$there"
	here=$(where_it_runs)
	there=$(other "$here")
done

# The disk is full on the way back: it runs all the same.
step "$here" config $MATRIX_CT "$there"
step "$here" rootfs $MATRIX_CT
faults "$here" 'handover.prepared:eio,handover.takeback:enospc'
like "$(refusal "$here" wherry ct send state $MATRIX_CT)" 'wherryd keeps trying' "a way back that can't be recorded"
ok "... it runs" runs_on "$here" $MATRIX_CT
is "$(on "$here" wherry ct own $MATRIX_CT | grep -c releasing)" 1 "... though its record says that it is on the way"
is "$(on "$here" sh -c "tr '\\0' '\\n' </proc/\$(lxc-info -pHn $MATRIX_CT)/environ | grep -c TOKEN" || true)" 0 "... and knows of no token"
disarm
recorded() { on "$here" wherry ct own $MATRIX_CT | grep -q owner; }
ok "... until there is room again" wait_for 60 recorded
step "$here" cancel $MATRIX_CT
ok "... then the send can be cancelled" wait_settled 20 move "$here" "$there"

# A disk that is full for real, from the stop on: whatever can't be written then, it runs all the same.
daemon "$here" stop
on "$here" sh -c 'cp -a /var/lib/wherry /run/kept && mount -t tmpfs -o size=8m,mode=711 none /var/lib/wherry &&
	cp -a /run/kept/. /var/lib/wherry'
daemon "$here" start
step "$here" config $MATRIX_CT "$there"
step "$here" rootfs $MATRIX_CT
faults "$here" 'handover.stopped:hold!'
on "$here" wherry ct send state $MATRIX_CT >"$WATCH/said" 2>&1 </dev/null &
pid=$!
wait_for 30 fired "$here"
on "$here" sh -c 'dd if=/dev/zero of=/var/lib/wherry/full bs=1k 2>/dev/null; [ -s /var/lib/wherry/full ]'
is "$(runs_on "$here" $MATRIX_CT && echo runs || echo down)" down "the disk is full, and the container is down"
release "$here"
wait $pid && status=0 || status=$?
like "$(cat "$WATCH/said")" '[Nn]o space|full' "the send says why it failed"
ok "... and it runs" wait_for 10 runs_on "$here" $MATRIX_CT
on "$here" rm /var/lib/wherry/full
ok "... and is ours again when there is room" wait_for 60 recorded
step "$here" cancel $MATRIX_CT
ok "... then the send can be cancelled" wait_settled 30 move "$here" "$there"

# Where the disk had room for it, a MiB is kept for that: nothing waits for anybody then, neither the way back...
daemon "$there" stop
on "$there" sh -c 'cp -a /var/lib/wherry /run/kept && mount -t tmpfs -o size=40m,mode=711 none /var/lib/wherry &&
	cp -a /run/kept/. /var/lib/wherry'
daemon "$there" start
daemon "$here" stop
on "$here" mount -o remount,size=40m /var/lib/wherry
daemon "$here" start
for n in a b; do ok "room is kept on $n" wait_for 20 on $n test -s /var/lib/wherry/room; done
fill_disk() { # NODE
	on "$1" sh -c 'dd if=/dev/zero of=/var/lib/wherry/full bs=1k 2>/dev/null; [ -s /var/lib/wherry/full ]'
}
step "$here" config $MATRIX_CT "$there"
step "$here" rootfs $MATRIX_CT
faults "$there" 'takeover.started:eio,takeover.stopped:hold!'
on "$here" wherry ct send state $MATRIX_CT >"$WATCH/said" 2>&1 </dev/null &
pid=$!
wait_for 30 fired "$there"
fill_disk "$here"
release "$there"
wait $pid && status=0 || status=$?
is "$status" 18 "given back to a full disk: the send says that it did not come up there"
ok "... it runs" runs_on "$here" $MATRIX_CT
ok "... and that is written" recorded
is "$(on "$here" ls /var/lib/wherry | grep -c room || true)" 0 "... where room was kept for it"
ok "... as the log says" on "$here" grep -q 'is full: the MiB kept there' /var/log/wherryd.log
on "$here" rm /var/lib/wherry/full
ok "... nothing is left" wait_settled 60 move "$here" "$there"

# ... nor the commit.
step "$here" config $MATRIX_CT "$there"
step "$here" rootfs $MATRIX_CT
faults "$there" 'takeover.owner.before:hold!'
on "$here" wherry ct send state $MATRIX_CT >"$WATCH/said" 2>&1 </dev/null &
pid=$!
wait_for 30 fired "$there"
fill_disk "$there"
release "$there"
wait $pid && status=0 || status=$?
is "$status" 0 "a commit on a full disk"
[ "$status" = 0 ] || sed 's/^/# /' "$WATCH/said"
ok "... it runs there" runs_on "$there" $MATRIX_CT
on "$there" rm /var/lib/wherry/full
step "$here" cleanup $MATRIX_CT
ok "... nothing is left" wait_settled 60 move "$here" "$there"
here=$there
there=$(other "$here")

# A copy whose last answer never comes: it may be there, so nothing is cancelled; the send ends when it is known.
faults "$there" 'takeover.started:hold!'
# shellcheck disable=SC2046 # words
on "$here" wherry $(send_words clone "$here" "$there") >"$WATCH/said" 2>&1 </dev/null &
pid=$!
wait_for 30 fired "$there"
cut_link on
release "$there"
wait $pid && status=0 || status=$?
is "$status" 17 "a copy whose answer is lost is not known to be there"
like "$(cat "$WATCH/said")" 'copy of container' "... as it says"
like "$(refusal "$here" wherry ct send cancel $MATRIX_CT)" 'copy.*may be there.*resolve' "... so it can't just be cancelled"
cut_link off
ok "... and is found when the link is back" wait_settled 100 clone "$here" "$there"
ok "... it runs there" runs_on "$there" $MATRIX_TWIN
