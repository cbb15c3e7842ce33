# shellcheck shell=bash disable=SC2034,SC2154 # variables of the scripts that source each other
# matrix.sh - one case of the crash matrix, and what must hold after it. Sourced by run (and by the
# sample in tests/lab/test_faults.sh) after tap.sh and lib.sh, with a lab of fault builds.
#
# A case is "KIND SIDE ACTION POINT#PASS":
#
#	KIND    move or clone: a one-shot send; undo: one that fails and is undone, with the fault in the undo
#	SIDE    source or destination: where the fault happens
#	ACTION  kill, eio, enospc: of the worker, at the point;
#	        cut: the link is lost for 5 s; daemon: kill -9 of wherryd; reboot: of the node
#	POINT   as src/base/fault.h has them, the PASSth time that this send passes it

MATRIX_CT=web
MATRIX_TWIN=twin
MATRIX_FS=${MATRIX_FS:-}  # "", or a pool's name
MATRIX_SETTLE=${MATRIX_SETTLE:-75} # seconds until all must be well by itself; recovery's backoff is in it

matrix_pid() { # NODE: process 1, through which its files are seen from here
	local pid
	read -r pid _ <"/run/wherry-lab/$LAB/$1.pid" && echo "$pid"
}

root_of() {
	echo "/proc/$(matrix_pid "$1")/root"
}

# nap SECONDS: without a process.
nap() {
	read -r -t "$1" <>"$WATCH/tick" || true
}

# ct_files NODE NAME, log_of NODE NAME: its root folder, and the counter's log in there, as seen from here. They
# ask no node: they are looked at all the time.
ct_files() {
	local root
	root=$(root_of "$1")
	echo "$root$(sed -n 's/^lxc[.]rootfs[.]path *= *\([a-z]*:\)\{0,1\}//p' "$root/var/lib/lxc/$2/config")"
}

log_of() {
	echo "$(ct_files "$@")/srv/counter.log"
}

lines_of() { # FILE
	wc -l <"$1"
} 2>/dev/null

other() {
	[ "$1" = a ] && echo b || echo a
}

# --- never two: looks at both nodes all the time, through their cgroups, and notes when both run it.

watch_start() {
	local m
	WATCH=$(mktemp -d "${TMPDIR:-/tmp}/wherry-watch.XXXXXX")
	mkfifo "$WATCH/tick"
	for m in /sys/fs/cgroup/pids /sys/fs/cgroup/unified /sys/fs/cgroup; do
		[ ! -d "$m/wherry-lab.$LAB.a" ] || break
	done
	WATCH_DIR=$m
	watch_loop "$m/wherry-lab.$LAB" &
	WATCH_PID=$!
}

runs_in() { # CGROUP NAME
	local f p
	for f in "$1/lxc.payload.$2"/cgroup.procs "$1/lxc.payload.$2"-*/cgroup.procs; do
		{ read -r p <"$f" && return 0; } 2>/dev/null
	done
	return 1
}

watch_loop() {
	trap - EXIT INT TERM
	exec 5<>"$WATCH/tick"
	while :; do
		if runs_in "$1.a" $MATRIX_CT && runs_in "$1.b" $MATRIX_CT; then
			echo "at $EPOCHREALTIME both ran it" >>"$WATCH/two"
		fi
		read -r -t 0.02 -u 5 || true
	done
}

watch_stop() {
	[ -z "${WATCH_PID:-}" ] || kill "$WATCH_PID" 2>/dev/null || true
	WATCH_PID=
	[ -z "${WATCH:-}" ] || rm -rf "$WATCH"
	WATCH=
}

runs_on() { # NODE NAME
	runs_in "$WATCH_DIR/wherry-lab.$LAB.$1" "$2"
}

# --- the lab

matrix_up() {
	local n
	"$_lib_dir/lab" up --pools | sed 's/^/# /'
	for n in a b; do
		matrix_pid $n >/dev/null || return 1
		# The default costs the client 0.1 s of CPU a login (sntrup761), a third of a case.
		on $n sh -c 'echo "KexAlgorithms curve25519-sha256" >/etc/ssh/ssh_config.d/faults.conf'
		on $n sh -c 'echo "WHERRY_FAULT_FILE=/run/wherry-fault WHERRY_FAULT_TRACE=/run/wherry-trace" \
			>/etc/wherryd.environment; sync -f /etc'
		daemon $n stop
		daemon $n start
	done
	trust a b >/dev/null
	trust b a >/dev/null
	make_ct a $MATRIX_CT --busybox --line 'lxc.start.auto = 1' ${MATRIX_FS:+--fs "/srv/$MATRIX_FS"}
	on a wherry ct start $MATRIX_CT >/dev/null
	on a sync
	on b sync
	wait_counter a $MATRIX_CT 1
	MATRIX_MANIFEST=$(matrix_manifest a $MATRIX_CT)
	watch_start
}

# The time of the root folder is LXC's: each start sets it anew (of plain LXC, too), and all that is looked at here
# has been started. That it arrives is for the comparison before the commit, and for tests/tree.
matrix_manifest() {
	ct_manifest "$1" "$2" | sed '1s/[0-9]*[.][0-9]*//'
}

matrix_down() {
	watch_stop
	cut_link off 2>/dev/null || true
	LAB=$LAB "$_lib_dir/lab" down
}

# --- what is there

# leftovers NODE NAME...: what is there of sends on the node, but not those containers.
leftovers() {
	local node=$1 root d p keep
	root=$(root_of "$node")
	shift
	keep=" $* "
	for d in "$root"/var/lib/lxc/*/ "$root"/srv/*/*/; do
		[ -d "$d" ] || continue
		p=${d%/}
		case $keep in *" ${p##*/} "*) ;; *) [ "${p##*/}" = lost+found ] || echo "$node:${p#"$root"}" ;; esac
	done
	for d in "$root"/var/lib/lxc/.wherry/*/* "$root"/srv/*/.wherry/*/* "$root"/var/lib/wherry/transfer/*; do
		[ ! -e "$d" ] || echo "$node:${d#"$root"}"
	done
	for d in "$@"; do
		! grep -q wherry "$root/var/lib/lxc/$d/config" 2>/dev/null ||
			grep -n wherry "$root/var/lib/lxc/$d/config" | grep -v '#' | sed "s/^/$node: guard in $d: /"
	done
	# A container's monitor is a worker by descent, but not by name any more.
	# shellcheck disable=SC2044 # numbers
	for p in $(find "$WATCH_DIR/wherry-lab.$LAB.$node" -name cgroup.procs -exec cat {} +); do
		IFS= read -r -d '' d <"/proc/$p/cmdline" || continue
		case ${d##*/} in wherry-worker | wherry-receive | ssh) echo "$node: process ${d##*/}" ;; esac
	done 2>/dev/null
}

# dirt KIND FROM TO: what is not as it must be when all has settled; nothing when all is well.
dirt() {
	local kind=$1 from=$2 to=$3 here there=
	if [ "$kind" = clone ]; then
		runs_on "$from" $MATRIX_CT || echo "the source does not run"
		[ ! -d "$(root_of "$to")/var/lib/lxc/$MATRIX_TWIN" ] || there=$MATRIX_TWIN
		[ -z "$there" ] || runs_on "$to" $MATRIX_TWIN || echo "the copy does not run"
		leftovers "$from" $MATRIX_CT
		leftovers "$to" $there
		return
	fi
	if runs_on "$from" $MATRIX_CT; then
		here=$from
	elif runs_on "$to" $MATRIX_CT; then
		here=$to
	else
		echo "it runs nowhere"
		return
	fi
	leftovers "$here" $MATRIX_CT
	leftovers "$(other "$here")"
}

settled() { # KIND FROM TO
	[ -z "$(dirt "$@")" ]
}

# wait_settled SECONDS KIND FROM TO
wait_settled() {
	local until=$((SECONDS + $1))
	shift
	until settled "$@"; do
		[ $SECONDS -lt $until ] || return 1
		nap 0.1
	done
}

# --- a case

# arm SIDE-NODE FROM KIND SIDE ENTRY
arm() {
	local node=$1 from=$2 kind=$3 side=$4 entry=$5 n
	for n in a b; do rm -f "$(root_of $n)"/run/wherry-fault "$(root_of $n)"/run/wherry-trace; done
	if [ "$kind" = undo ]; then
		if [ "$side" = source ]; then
			entry="handover.prepared:eio,$entry"
		else
			echo 'handover.prepared:eio!' >"$(root_of "$from")/run/wherry-fault"
		fi
	fi
	[ -z "$entry" ] || echo "$entry" >"$(root_of "$node")/run/wherry-fault"
}

disarm() {
	local n
	for n in a b; do rm -f "$(root_of $n)/run/wherry-fault"; done
}

send_words() { # KIND FROM TO
	echo ct send $MATRIX_CT "$3" -q
	[ "$1" != clone ] || echo --clone --as-id $MATRIX_TWIN
	[ -z "$MATRIX_FS" ] || echo --to-pool "$MATRIX_FS"
}

entry_of() { # ACTION POINT#PASS
	local action=$1 do=$1
	case $action in cut | daemon | reboot) do=hold ;; esac
	echo "${2%#*}:$do#${2#*#}!"
}

# act NODE ACTION: from outside, while the worker is held at its point; then it goes on.
act() {
	case $2 in
	cut)
		cut_link on
		release "$1"
		sleep 5
		cut_link off
		;;
	daemon)
		daemon "$1" kill
		release "$1"
		;;
	reboot) reboot_node "$1" ;;
	esac
}

release() { # NODE
	: >"$(root_of "$1")/run/wherry-fault"
	wait_for 10 fired "$1"
}

fired() { # NODE
	[ ! -e "$(root_of "$1")/run/wherry-fault" ]
}

# witness NODE...: the counter's log as it is now, whole lines only: all of this must be there afterwards, byte for byte.
# The first of the nodes that has it; of a container that is gone from one and not yet on the other nothing is taken.
witness() {
	local n log
	for n in "$@"; do
		log=$(log_of "$n" $MATRIX_CT 2>/dev/null)
		[ ! -s "$log" ] || {
			sed -n '/^[0-9]* [0-9.]*$/p' "$log" >"$WATCH/witness.new" && mv "$WATCH/witness.new" "$WATCH/witness"
			return
		}
	done
}

# witness_fault SIDE ACTION FROM TO: when the fault happens. A power cut takes what the node that runs the container had
# not synced, as it would without a send; what the other one has, or had written when the container stopped, it does not.
witness_fault() {
	[ "$2" != reboot ] || [ "$1" = destination ] || return 0
	if ! runs_on "$4" $MATRIX_CT; then
		witness "$3" "$4"
	elif [ "$2" = reboot ]; then
		witness "$3"
	else
		witness "$4"
	fi
}

# run_case KIND SIDE ACTION POINT#PASS FROM: sets verdict (self, resolve, unreached, violation), why and took.
run_case() {
	local kind=$1 side=$2 action=$3 point=$4 from=$5 to node n0 pid begun status=0
	to=$(other "$from")
	node=$from
	[ "$side" = source ] || node=$to
	verdict=violation why='' took=0
	n0=$(lines_of "$(log_of "$from" $MATRIX_CT)")
	MATRIX_ACTION=$action
	rm -f "$WATCH/two" "$WATCH/witness"
	# Read before it is synced, so that every line of it is.
	witness "$from"
	[ "$action" != reboot ] || on "$from" sync -f "$(ct_root "$from" $MATRIX_CT)"
	arm "$node" "$from" "$kind" "$side" "$(entry_of "$action" "$point")"
	begun=$EPOCHREALTIME
	# shellcheck disable=SC2046 # words
	on "$from" timeout 150 wherry $(send_words "$kind" "$from" "$to") >"$WATCH/said" 2>&1 </dev/null &
	pid=$!
	until fired "$node" || ! kill -0 $pid 2>/dev/null; do nap 0.02; done
	if fired "$node"; then
		witness_fault "$side" "$action" "$from" "$to"
		act "$node" "$action" || why="the fault could not be made"
	else
		verdict=unreached
	fi
	wait $pid || status=$?
	disarm
	[ -z "$why" ] || return 0
	if wait_settled "$MATRIX_SETTLE" "$kind" "$from" "$to"; then
		[ $verdict = unreached ] || verdict=self
	else
		why=$(dirt "$kind" "$from" "$to" | tr '\n' ';')
		on "$from" wherry ct send resolve $MATRIX_CT >>"$WATCH/said" 2>&1 </dev/null ||
			on "$from" wherry ct send cancel $MATRIX_CT >>"$WATCH/said" 2>&1 </dev/null || true
		if wait_settled 20 "$kind" "$from" "$to"; then verdict=resolve; else
			verdict=violation
			return 0
		fi
	fi
	took=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
	check_after "$kind" "$from" "$to" "$n0" "$status" || verdict=violation
	return 0
}

# check_after KIND FROM TO N0 STATUS: nothing was lost, it never ran twice, the next send works.
check_after() {
	local kind=$1 from=$2 to=$3 n0=$4 status=$5 here=$2 text
	[ ! -s "$WATCH/two" ] || { why="two: $(head -n 1 "$WATCH/two") ($(wc -l <"$WATCH/two") times)"; return 1; }
	if [ "$kind" != clone ] && runs_on "$to" $MATRIX_CT; then here=$to; fi
	if [ "$status" = 0 ]; then
		if [ "$kind" = clone ]; then
			[ -d "$(root_of "$to")/var/lib/lxc/$MATRIX_TWIN" ] || { why="said done, but there is no copy"; return 1; }
		else
			[ "$here" = "$to" ] || { why="said done, but it is on $here"; return 1; }
		fi
	fi
	intact "$here" $MATRIX_CT "$n0" || return 1
	[ "$MATRIX_ACTION" != reboot ] || drop_nulls "$here" $MATRIX_CT
	if [ "$kind" = clone ] && [ -d "$(root_of "$to")/var/lib/lxc/$MATRIX_TWIN" ]; then
		intact "$to" $MATRIX_TWIN "$n0" || return 1
		on "$to" wherry ct delete --force $MATRIX_TWIN >/dev/null 2>"$WATCH/said2" ||
			{ why="the copy can't be deleted: $(head -n 1 "$WATCH/said2")"; return 1; }
	fi
	if [ "$kind" != clone ] || [ "$status" != 0 ]; then
		# shellcheck disable=SC2046 # words
		text=$(on "$here" timeout 100 wherry $(send_words "$kind" "$here" "$(other "$here")") 2>&1 </dev/null) ||
			{ why="the next send failed: $text"; return 1; }
		[ "$kind" != clone ] || on "$to" wherry ct delete --force $MATRIX_TWIN >/dev/null
	fi
	text=$(dirt "$kind" "$here" "$(other "$here")" | tr '\n' ';')
	[ -z "$text" ] || wait_settled 5 "$kind" "$here" "$(other "$here")" || { why="after the next send: $text"; return 1; }
	[ ! -s "$WATCH/two" ] || { why="two, in the next send"; return 1; }
}

# holes_in LOG: as counter_holes. After a power cut nulls do not count: they are where lines were that nobody
# had synced; the counter knows that and goes on behind them.
holes_in() {
	if [ "$MATRIX_ACTION" = reboot ]; then tr -d '\0'; else tr '\0' '@'; fi <"$1" |
		LC_ALL=C awk '$1 != NR || NF != 2 || $2 < last { print NR ": " $0 " after " last; if (++n == 3) exit } { last = $2 }'
}

# drop_nulls NODE NAME: those that a power cut left go when they have been looked at: in later cases any is a
# violation. In place, while the container stands still: its counter goes on behind what is there then.
drop_nulls() {
	local log
	log=$(log_of "$1" "$2")
	[ "$(tr -dc '\0' <"$log" | wc -c)" != 0 ] || return 0
	on "$1" lxc-freeze -n "$2"
	tr -d '\0' <"$log" >"$WATCH/log"
	cat "$WATCH/log" >"$log"
	on "$1" lxc-unfreeze -n "$2"
}

# missing_in LOG: the first line that was seen before or at the fault, and is not there now as it was.
missing_in() {
	head -n "$(wc -l <"$WATCH/witness")" "$1" | cmp - "$WATCH/witness" 2>&1
}

counts_on() { # LOG
	local n=0 tries=200
	n=$(lines_of "$1")
	until [ "$(lines_of "$1")" -gt "$n" ]; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		nap 0.1
	done
}

# intact NODE NAME LINES: the counter has every line it had, and the files are what they were.
intact() {
	local log holes lines manifest
	log=$(log_of "$1" "$2")
	counts_on "$log" || { why="the counter of $2 stands still on $1"; return 1; }
	holes=$(holes_in "$log")
	[ -z "$holes" ] || { why="a hole in the counter of $2: $holes"; return 1; }
	lines=$(lines_of "$log")
	[ "$lines" -ge "$3" ] || { why="$2 lost lines: it has $lines, had $3"; return 1; }
	# A copy is of a moment of its own.
	[ "$2" = $MATRIX_TWIN ] || holes=$(missing_in "$log") || { why="$2 lost a line that was on disk: $holes"; return 1; }
	manifest=$(matrix_manifest "$1" "$2")
	[ "$manifest" = "$MATRIX_MANIFEST" ] || {
		why="the files of $2 changed: $(diff <(echo "$MATRIX_MANIFEST") <(echo "$manifest") | head -n 4 | tr '\n' ';')"
		return 1
	}
}

# traced KIND FROM: runs it without a fault and prints its points: SIDE POINT#PASS.
traced() {
	local kind=$1 from=$2 to nothing=
	to=$(other "$from")
	if [ "$kind" = undo ]; then nothing=none:eio; fi
	arm "$from" "$from" "$kind" source "$nothing"
	# shellcheck disable=SC2046 # words
	on "$from" wherry $(send_words "$kind" "$from" "$to") >/dev/null 2>&1 </dev/null || [ "$kind" = undo ]
	disarm
	wait_settled 20 "$kind" "$from" "$to" >&2
	# shellcheck disable=SC2016 # awk's
	awk '{ n[$1]++; if (undo && $1 == "handover.prepared") { seen = 1; next }
		if (!undo || seen) print "source " $1 "#" n[$1] }' undo="$([ "$kind" = undo ] && echo 1)" \
		"$(root_of "$from")/run/wherry-trace"
	awk '{ n[$1]++; if (undo && $1 == "takeover.prepared.after") { seen = 1; next }
		if (!undo || seen) print "destination " $1 "#" n[$1] }' undo="$([ "$kind" = undo ] && echo 1)" \
		"$(root_of "$to")/run/wherry-trace"
	if [ "$kind" = clone ]; then on "$to" wherry ct delete --force $MATRIX_TWIN >/dev/null; fi
}

# where_it_runs: the node.
where_it_runs() {
	if runs_on a $MATRIX_CT; then echo a; else echo b; fi
}
