#!/bin/bash
# test_recover.sh - what a host does by itself after a reboot or a lost link, what it leaves to the operator, and what
# it tells him: dead peers hold up nobody, a link that is lost right after the commit, a peer that lost its memory,
# a send that failed and was kept. Held and broken at fault points, which only this build has.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

faults_build
plan 73
POOLS=btrfs lab_up
trust a b
for n in a b; do
	on $n sh -c 'echo WHERRY_FAULT_FILE=/run/wherry-fault >/etc/wherryd.environment; sync -f /etc'
	daemon $n stop
	daemon $n start
done

fault() { # NODE ENTRIES
	# shellcheck disable=SC2016 # the node's shell
	on "$1" sh -c 'echo "$0" >/run/wherry-fault.new && mv /run/wherry-fault.new /run/wherry-fault' "$2"
}

log_of() { # NODE
	on "$1" cat /var/log/wherryd.log
}

logged() { # NODE N REGEX: at least so often
	[ "$(log_of "$1" | grep -cE "$3")" -ge "$2" ]
}

# line NODE REGEX: of the log, the number of the last that matches
line() {
	log_of "$1" | grep -nE "$2" | tail -n 1 | cut -d: -f1
}

runs_on() { # NAME NODES
	[ "$(running_on "$1" | tr '\n' ' ')" = "$2 " ]
}

new() { # NAME...
	local n
	for n in "$@"; do
		make_ct a "$n" --busybox
		on a wherry --quiet ct start "$n"
	done
	on a sync
}

status_of() { # NAME: as one line
	on a wherry ct send status "$1" | tr '\n' ' '
}

# --- after a reboot: what can be decided here is, and at once; the peer does not answer
new dead1 dead2 here
fault a handover.release.after:stall
for n in dead1 dead2; do on a wherry ct send $n b -q >/dev/null 2>&1 </dev/null & done
wait_for 60 logged a 2 'fault point handover.release.after: stall'
fault a handover.stopped:stall
on a wherry --quiet ct send config here b
on a wherry --quiet ct send rootfs here
on a wherry ct send state here -q >/dev/null 2>&1 </dev/null &
wait_for 60 logged a 1 'fault point handover.stopped: stall'
is "$(running_on dead1)$(running_on dead2)$(running_on here)" "" "three sends in the midst of their hand-over: none of them runs"
cut_link on b
on a truncate -s 0 /var/log/wherryd.log
on a sync
reboot_node a
ok "what was not handed over runs again" wait_for 30 runs_on here a
wait_for 60 logged a 1 "b can't be asked about dead[12], dead[12] "
ok "before the dead peer was given up" test "$(line a "container 'here': it was being handed over and belongs here again")" \
	-lt "$(line a "b can't be asked")"
ok "that is said once, not for each container" test "$(log_of a | grep -cE "can't be asked|connection|unreachable")" -le 2
is "$(running_on dead1)$(running_on dead2)" "" "what was handed over stays down"
like "$(on a wherry ct list)" 'dead1 +stopped +default +dir +committed +in doubt +b' "ct list says so"
like "$(refusal a wherry ct start dead1)" "container.*dead1" "it can't be started"
ok "by hand neither" on a sh -c '! lxc-start -n dead1'
cut_link off b
ok "the link is back: the first goes on by itself" wait_for 90 runs_on dead1 b
ok "... and the second" wait_for 30 runs_on dead2 b
gone_from_a() { on a sh -c '! ls -d /var/lib/lxc/dead1 /var/lib/lxc/dead2'; }
ok "... to the very end" wait_for 60 gone_from_a
is "$(running_on here) $(on a wherry ct list --json | grep '"send"' | tr -d ' ')" 'a "send":"base",' "the step that was broken off is the operator's"
on a wherry --quiet ct send cancel here

# --- the link is lost right after the commit
new lost
fault a 'handover.release.after:hold!'
on a wherry ct send lost b >"/run/wherry-lab/$LAB/said" 2>&1 </dev/null &
pid=$!
wait_for 60 logged a 1 'fault point handover.release.after: hold'
cut_link on
on a truncate -s 0 /var/log/wherryd.log
fault a nothing:eio
wait $pid && status=0 || status=$?
is "$status" 17 "the send ends with the status of an unknown outcome"
like "$(cat "/run/wherry-lab/$LAB/said")" "container 'lost' was handed over to b, which doesn't answer any more .*: it stays down here until b can be asked, wherryd keeps trying, .wherry ct send resolve lost. shows" \
	"and says what that means"
is "$(running_on lost)" "" "it runs nowhere, rather than twice"
text=$(status_of lost)
like "$text" "Phase: committed .*Own: released .*Peer error: .*b.*Next: .wherry ct send resolve lost." "status: what is known here, and that b can't be asked"
like "$text" "The container stays down here. wherryd keeps asking. If b is destroyed and will never run again, .*own --force lost.: were it running there after all, it would run twice" \
	"and the choices, with their price"
on a wherry ct send resolve lost >"/run/wherry-lab/$LAB/said" 2>&1 && status=0 || status=$?
is "$status" 17 "resolve can do no more than that, and its status says so"
like "$(cat "/run/wherry-lab/$LAB/said")" "nothing is decided about container 'lost': .*The container stays down here. wherryd keeps asking. If b is destroyed" \
	"... with the choices"
is "$(running_on lost)" "" "and starts nothing"
like "$(refusal a wherry ct send cancel lost)" "was handed over to b, that can't be cancelled any more" "cancel is refused"
like "$(refusal a wherry ct send cleanup lost)" "lost" "cleanup is refused"
like "$(refusal a wherry ct delete --force lost)" "lost" "delete is refused"
like "$(refusal b wherry receive cancel lost)" "complete here and waits for the hand-over, which 10.99.0.1 may have decided already" \
	"on b too nobody removes it"
wait_for 120 logged a 1 'looked after again in 20.0 s'
like "$(log_of a | sed -n 's/.*looked after again in //p' | tr '\n' ' ')" "5.0 s 10.0 s 20.0 s " "it is tried again, less and less often"
cut_link off
ok "the link is back: it runs on b by itself" wait_for 90 runs_on lost b
lost_is_gone() { [ -z "$(traces a lost)" ]; }
ok "and is removed here" wait_for 60 lost_is_gone
is "$(counter_holes b lost)" "" "with a counter that has no hole"

# --- the source is gone right after the commit: what stands complete at the destination may be all there is
new orphan
on a wherry --quiet ct send config orphan b
on a wherry --quiet ct send rootfs orphan
like "$(refusal b wherry ct own --force orphan)" "has not arrived whole, .*receive cancel orphan" "what is not complete can't be taken"
fault a 'handover.release.after:hold!'
on a wherry ct send state orphan >/dev/null 2>&1 </dev/null &
pid=$!
fired() { on a sh -c '! test -e /run/wherry-fault'; }
wait_for 60 fired
cut_link on
fault a nothing:eio
like "$(refusal b wherry receive cancel orphan)" "Only if 10.99.0.1 is gone for good, take it with .wherry ct own --force orphan., or remove it" \
	"the destination says what the operator may do"
ok "he takes it" on b wherry --quiet ct own --force orphan
is "$(running_on orphan)" "" "it is not started by that"
ok "but can be" on b wherry --quiet ct start orphan
is "$(running_on orphan) $(traces b orphan | grep wherry)" "b " "and is a container like any other"
cut_link off
wait $pid && status=0 || status=$?
is "$status" 0 "a source that comes back after all hears that it was taken"
ok "and cleans up" on a wherry --quiet ct send cleanup orphan

# --- the peer comes back without its memory
new forgotten
on a wherry --quiet ct send config forgotten b
on a wherry --quiet ct send rootfs forgotten
fault a 'handover.release.after:hold!'
on a wherry ct send state forgotten >/dev/null 2>&1 </dev/null &
pid=$!
wait_for 60 fired
daemon b stop
on b sh -c 'rm -rf /var/lib/wherry/* /var/lib/lxc/.wherry /var/lib/lxc/forgotten'
reboot_node b --clean
on a cat /var/lib/wherry/send-receive/key.pub | on b wherry --quiet receive authorized-keys add a
on a truncate -s 0 /var/log/wherryd.log
fault a nothing:eio
wait $pid && status=0 || status=$?
is "$status" 17 "a peer that lost its memory: the outcome is not known"
is "$(running_on forgotten)" "" "it runs nowhere"
text=$(status_of forgotten)
like "$text" "Peer state: none .*b has no record of this send .*Look there with .wherry ct show forgotten.. Only if it does not run there, take it back here with .wherry ct own --force forgotten." \
	"status: b knows nothing, what to look at, and what decides"
like "$(refusal a wherry ct send resolve forgotten)" "nothing is decided about container 'forgotten': b has no record of this send" "resolve does not decide that"
is "$(running_on forgotten)" "" "and starts nothing"
like "$(refusal a wherry ct start forgotten)" "forgotten" "start is refused"
wait_for 60 logged a 1 "forgotten.*that doesn't decide who may run it"
ok "the operator decides: ct own --force" on a wherry --quiet ct own --force forgotten
like "$(log_of a)" "container 'forgotten': uid 0 took it by force: it belongs to this node now, whoever else may run it" "which is logged"
like "$(on a wherry ct history forgotten)" "own.force" "and kept in its history"
ok "then it starts" on a wherry --quiet ct start forgotten
settled() { [ "$(on a wherry status --json | grep -c '"role"')" = 0 ]; }
ok "nothing of the send is open any more" wait_for 60 settled
nothing_left() { ! traces a forgotten | grep wherry >/dev/null; }
ok "or left" wait_for 60 nothing_left
ok "and it can be sent again" on a wherry --quiet ct send forgotten b

# --- by force, although the destination answers that it has it
new theirs
on a wherry --quiet ct send config theirs b
on a wherry --quiet ct send rootfs theirs
on a wherry --quiet ct send state theirs
like "$(refusal a wherry ct own --force theirs)" "b says 'owner' about container 'theirs': .*here it could run twice. .wherry ct send resolve theirs. .*--even-if-running-there" \
	"ct own --force is refused if the destination says that it runs there"
is "$(on a wherry ct own theirs --json | grep -o released) $(running_on theirs)" "released b" "nothing has changed"
like "$(refusal a wherry ct own --even-if-running-there theirs)" "for --force" "the second switch alone is none"
ok "with both it is taken" on a wherry --quiet ct own --force --even-if-running-there theirs
like "$(log_of a)" "container 'theirs' is taken by force: b says 'owner': IT MAY RUN TWICE NOW" "which is logged loudly"
on b wherry --quiet ct delete --force theirs
wait_for 60 settled
on a wherry --quiet ct start theirs
on a wherry --quiet ct send config theirs b
on a wherry --quiet ct send rootfs theirs
fault a 'handover.release.after:hold!'
on a wherry ct send state theirs >/dev/null 2>&1 </dev/null &
pid=$!
wait_for 60 fired
cut_link on
fault a nothing:eio
wait $pid || true
ok "if it can't be asked, --force is enough" on a wherry --quiet ct own --force theirs
like "$(log_of a)" "container 'theirs' is taken by force: b can't be asked \(" "which is logged with the reason"
cut_link off
ok "nothing of the send is open any more" wait_for 90 settled
wait_for 60 on b sh -c '! ls -d /var/lib/lxc/theirs'

# --- data that come late, when the source has released what the destination has prepared
# late WORDS...: a data verb by hand; what is said to it
late() {
	on a ssh -T -o BatchMode=yes -o UserKnownHostsFile=/var/lib/wherry/send-receive/known_hosts -o IdentitiesOnly=yes \
		-i /var/lib/wherry/send-receive/key -l wherry-receive b receive incremental "$@" </dev/null 2>/dev/null || true
}
new tardy
fault a 'handover.release.after:hold!'
on a wherry ct send tardy b >"/run/wherry-lab/$LAB/said" 2>&1 </dev/null &
pid=$!
wait_for 60 fired
token=$(on b wherry receive list --json | grep -o '"token": *"[0-9a-f]*"' | grep -o '[0-9a-f]\{40\}')
for n in 1 2 3; do
	like "$(late "$token" rootfs - pass=$n)" "takes no late data: they are of pass $n, and pass 3 is prepared already" "late data of pass $n are refused"
done
like "$(late "$token" rootfs)" "takes no late data" "so are data without a number"
fault a nothing:eio
wait $pid && status=0 || status=$?
is "$status $(running_on tardy)" "0 b" "the hand-over has not noticed"

# --- whoever shoots the workers does not hit containers, and what ran when its send began runs in the end
new shot
fault a 'handover.releasing.before:stall'
on a wherry ct send shot b -q >/dev/null 2>&1 </dev/null &
wait_for 60 logged a 1 'fault point handover.releasing.before: stall'
fault a nothing:eio
init=$(on a lxc-info -Hpn shot)
on a pkill -KILL wherry-worker
is "$(on a lxc-info -Hpn shot)" "$init" "pkill wherry-worker leaves the container alone"
ok "its send goes on by itself" wait_for 90 runs_on shot b
is "$(counter_holes b shot)" "" "with a counter that has no hole"

new died
fault a 'handover.prepared:eio!'
on a wherry ct send died b -q --keep-partial >/dev/null 2>&1 </dev/null || true
on a lxc-stop -k -n died
on a wherry ct send died b >"/run/wherry-lab/$LAB/said" 2>&1 </dev/null
is "$(running_on died)" b "one that died on the way is, too"
like "$(cat "/run/wherry-lab/$LAB/said")" "container 'died' ran when its send began and is stopped now: it will be started on the destination" "and that is said"

# --- a send that failed and was kept is the operator's
make_ct a kept --busybox --line 'lxc.start.auto = 1'
on a wherry --quiet ct start kept
on a sync
fault a 'handover.prepared:eio!'
like "$(refusal a wherry ct send kept b --keep-partial -q)" "fault point handover.prepared" "a send with --keep-partial fails"
reboot_node a
wait_for 30 runs_on kept a
like "$(on a wherry ct list)" 'kept +running +default +dir +incremental +failed, kept +b' "after a reboot it runs, and ct list says that the send is kept"
like "$(status_of kept)" "the send failed .fault point handover.prepared.*, and what has arrived on b is kept: .wherry ct send kept b. goes on with it, .wherry ct send cancel kept. removes it" \
	"status says why, and what goes on from there"
ok "it can be stopped meanwhile" on a wherry --quiet ct stop kept
ok "the same command goes on" on a wherry --quiet ct send kept b
is "$(running_on kept)$(ct_state b kept)" STOPPED "and delivers it as it was left: stopped"
