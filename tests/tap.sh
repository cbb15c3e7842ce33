# shellcheck shell=bash
# tap.sh - what a shell test says: the Test Anything Protocol on stdout, nothing else. Source it first.
#
#   plan 4                                  # how many tests there will be
#   ok "the file is there" test -f "$f"     # that a command succeeds
#   is "$(cat "$f")" "hello" "its content"  # that two strings are the same
#   like "$text" '^exit [0-9]+' "a status"  # that an extended regular expression matches
#   skip "needs: ZFS in this kernel" 1      # a test that cannot run here counts as done
#   diag "anything for the reader"
#   cleanup umount "$mnt"                   # when the script ends, however it ends: last in, first out
#
# A failed test does not end the script; a command that fails under set -e does, and the plan shows it.

_tap_done=0
_tap_failed=0
_tap_planned=
_tap_cleanups=()

plan() {
	_tap_planned=$1
	echo "1..$1"
}

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

_tap_result() { # STATUS DESCRIPTION
	_tap_done=$((_tap_done + 1))
	if [ "$1" = 0 ]; then
		echo "ok $_tap_done - $2"
	else
		_tap_failed=$((_tap_failed + 1))
		echo "not ok $_tap_done - $2"
	fi
}

ok() { # DESCRIPTION CMD...
	local what=$1 status=0 said
	shift
	said=$("$@" 2>&1) || status=$?
	_tap_result "$status" "$what"
	[ "$status" = 0 ] || diag "exit status $status: $*${said:+
$said}"
}

is() { # GOT WANTED DESCRIPTION
	if [ "$1" = "$2" ]; then
		_tap_result 0 "$3"
	else
		_tap_result 1 "$3"
		diag "got:    $1"
		diag "wanted: $2"
	fi
}

like() { # GOT REGEX DESCRIPTION
	if [[ $1 =~ $2 ]]; then
		_tap_result 0 "$3"
	else
		_tap_result 1 "$3"
		diag "got:           $1"
		diag "does not match $2"
	fi
}

skip() { # REASON [COUNT]
	local i
	for ((i = 0; i < ${2:-1}; i++)); do
		_tap_done=$((_tap_done + 1))
		echo "ok $_tap_done # SKIP $1"
	done
}

# Each command runs as given, in this shell; one that fails says so and does not keep the others from running.
cleanup() {
	_tap_cleanups+=("$(printf '%q ' "$@")")
}

_tap_end() {
	local status=$? i
	trap - EXIT
	set +e
	for ((i = ${#_tap_cleanups[@]} - 1; i >= 0; i--)); do
		eval "${_tap_cleanups[i]}" || echo "# cleanup failed: ${_tap_cleanups[i]}"
	done
	[ "$status" = 0 ] || diag "ended with status $status after $_tap_done tests"
	[ "$status" != 0 ] || [ "$_tap_failed" = 0 ] || status=1
	[ "$status" != 0 ] || [ "$_tap_done" = "$_tap_planned" ] || status=1
	exit "$status"
}
trap _tap_end EXIT
# A signal ends the script through its EXIT trap.
trap 'exit 130' INT TERM
