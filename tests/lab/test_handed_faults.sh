#!/bin/bash
# test_handed_faults.sh - what goes wrong while a device that both nodes see is handed over, at each of its fault points:
# the worker, the daemons, a node or the link is gone, the mount fails, the device is held, or only a copy of it is to be
# seen. After each the container runs on one node and the other does not have the filesystem mounted, never had at the
# same time (a detector looks), nothing is lost and nothing is left, and the next hand-over works.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh
# shellcheck source=node.sh
. ./node.sh
# shellcheck source=san.sh
. ./san.sh
# shellcheck source=../fault/matrix.sh
. ../fault/matrix.sh

faults_build
export POOLS=

# "KIND SIDE ACTION POINT#PASS" as matrix.sh has them. Also, KIND back: it is given back, as it can't be mounted there;
# ACTION daemons: both; held: somebody there has the device for 2 s; copy: of two that look the same only the wrong one
# is to be seen there, until all has settled.
cases=(
	"move source kill handed.marked#1"
	"move source kill handed.released#1"
	"move source daemons handed.released#1"
	"move source reboot handed.released#1"
	"move source kill handover.release.after#1"
	"move source cut handover.commit#1"
	"move source kill storage.blockfs.removed#1"
	"undo source kill handed.takeback#1"
	"undo source eio handed.takeback#1"
	"move destination kill takeover.owner.after#1"
	"move destination kill handed.adopted#1"
	"move destination eio handed.adopted#1"
	"move destination kill handed.mounted#1"
	"move destination eio handed.mounted#1"
	"move destination daemons handed.mounted#1"
	"move destination cut handed.mounted#1"
	"move destination reboot handed.mounted#1"
	"back source kill handed.takeback#1"
	"back destination kill takeover.stopped#1"
	"back destination kill storage.blockfs.removed#1"
	"back destination kill handed.left#1"
	"back destination kill receiving.promise.after#1"
	"move destination held takeover.owner.before#1"
	"move destination held handed.adopted#1"
	"move destination copy takeover.owner.before#1"
	"move destination copy handed.adopted#1"
)

send_words() { # KIND FROM TO
	echo ct send $MATRIX_CT "$3" -q --hand-over
}

eval "matrix_$(declare -f arm)"
arm() { # NODE FROM KIND SIDE ENTRY
	if [ "$3.$4" = back.destination ]; then
		set -- "$1" "$2" "$3" "$4" "handed.mounted:eio,$5"
	fi
	matrix_arm "$@"
	[ "$3.$4" != back.source ] || echo 'handed.mounted:eio!' >"$(root_of "$(other "$2")")/run/wherry-fault"
}

entry_of() { # ACTION POINT#PASS
	local do=hold
	case $1 in kill | eio) do=$1 ;; esac
	echo "${2%#*}:$do#${2#*#}!"
}

eval "matrix_$(declare -f act)"
act() { # NODE ACTION
	case $2 in
	daemons)
		daemon "$(other "$1")" kill
		matrix_act "$1" daemon
		;;
	held)
		rm -f "$WATCH/held"
		python3 -c 'import os, sys, time; os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL); print(flush=True); time.sleep(2)' \
			"$(san one)" >"$WATCH/held" &
		wait_for 10 test -s "$WATCH/held"
		release "$1"
		;;
	copy)
		on "$1" mount --bind /dev/null "$(san one)"
		hidden=$1
		release "$1"
		;;
	*) matrix_act "$@" ;;
	esac
}

# What settles while the device is hidden has to do so without it.
eval "matrix_$(declare -f check_after)"
check_after() {
	show_device
	matrix_check_after "$@"
}

show_device() {
	[ -z "$hidden" ] || on "$hidden" umount "$(san one)"
	hidden=
}

# holders NAME: who has the device mounted, in whatever mount namespace: nodes, or "machine".
holders() {
	local f groups
	grep -ls "^[0-9]* [0-9]* $(_numbers "$1") " /proc/[0-9]*/mountinfo | while read -r f; do
		groups=$(cat "${f%mountinfo}cgroup" 2>/dev/null) || continue # it has ended
		f=$(grep -o "wherry-lab[.]${LAB}[.][a-z]*" <<<"$groups" | head -n 1)
		f=${f##*.}
		echo "${f:-machine}"
	done | sort -u
}

loops() { losetup -nl -O NAME,BACK-FILE | grep -c "/$LAB/"; }

# not_clean NODE: what is not as it must be when the container is there; nothing when all is well.
not_clean() {
	[ "$(holders one)" = "$1" ] || echo "the filesystem is mounted on '$(holders one | tr '\n' ' ')', not on $1"
	[ -z "$(holders copy)" ] || echo "the copy is mounted on $(holders copy)"
	[ "$(twice)" = 0 ] || echo "two nodes had it mounted, $(twice) times"
	[ "$(loops)" = "$loops" ] || echo "there are $(loops) loop devices, not $loops"
	on "$1" grep -q "^state='ready'" "$(ct_root "$1" $MATRIX_CT).mount" || echo "the record is not ready"
	on "$1" ls -A "$(ct_root "$1" $MATRIX_CT)" | grep wherry || true
}

lab_ready() {
	local n
	"$_lib_dir/lab" up | sed 's/^/# /'
	for n in a b; do
		on $n sh -c 'echo "KexAlgorithms curve25519-sha256" >/etc/ssh/ssh_config.d/faults.conf
			echo root:1000000:655360 >/etc/subuid; cp /etc/subuid /etc/subgid
			echo "WHERRY_FAULT_FILE=/run/wherry-fault WHERRY_FAULT_TRACE=/run/wherry-trace" >/etc/wherryd.environment
			sync -f /etc'
		daemon $n stop
		daemon $n start
	done
	trust a b --allow-devices >/dev/null
	trust b a --allow-devices >/dev/null
	san_up one 128M
	make_ct a $MATRIX_CT --busybox --unprivileged --line 'lxc.start.auto = 1'
	on a wherry -q ct send $MATRIX_CT b --to-device "$(san one)" --no-start
	on b sync
	san_copy one copy
	on b wherry -q ct start $MATRIX_CT
	on a sync
	on b sync
	wait_counter b $MATRIX_CT 1
	MATRIX_MANIFEST=$(matrix_manifest b $MATRIX_CT)
	loops=$(loops)
	hidden=
	watch_start
}

plan $((${#cases[@]} * 2 + 4))
cleanup matrix_down
lab_ready
for case in "${cases[@]}"; do
	[[ $case =~ ${ONLY:-.} ]] || continue
	read -r kind side action point <<<"$case"
	watch_san one
	run_case "$kind" "$side" "$action" "$point" "$(where_it_runs)"
	show_device
	unwatch_san
	is "$verdict $why" "self " "$case: it came right by itself, in $took s"
	is "$(not_clean "$(where_it_runs)")" "" "... the filesystem was never mounted twice, and nothing is left"
	[ "$verdict" = self ] || {
		diag "$(cat "$WATCH/said")"
		for n in a b; do diag "$(tail -n 20 "$(root_of $n)/var/log/wherryd.log" | sed "s/^/$n: /")"; done
		[ -z "${ONLY:-}" ] || exit 1
		matrix_down
		san_down
		_sans=
		lab_ready
	}
done

# Where only a copy is to be seen from the start, nothing is stopped.
here=$(where_it_runs)
there=$(other "$here")
disarm
started() { on "$here" stat -c %Y "/proc/$(on "$here" lxc-info -pHn $MATRIX_CT)"; }
before=$(started)
on "$there" mount --bind /dev/null "$(san one)"
hidden=$there
# shellcheck disable=SC2046 # words
like "$(refusal "$here" wherry $(send_words move "$here" "$there"))" 'it is a copy' "only a copy is to be seen there: refused"
is "$(started)" "$before" "... and it was not stopped"
show_device
# shellcheck disable=SC2046 # words
ok "... the next hand-over works" on "$here" wherry $(send_words move "$here" "$there")
is "$(dirt move "$here" "$there")" "" "... and leaves nothing"
