#!/bin/bash
# The runner must not call anything good that is not: what tools/tally makes of logs, and tests/tap.sh of tests.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=../tap.sh
. tests/tap.sh

tmp=$(mktemp -d)
cleanup rm -rf "$tmp"

# tally_of NAME: the closing line and the status for a log read from stdin.
tally_of() {
	local status=0 text
	cat >"$tmp/$1"
	text=$(tools/tally "$tmp/$1") || status=$?
	echo "$(tail -n 1 <<<"$text"), status $status"
}

# log LINE...: a TAP log whose script ended with 0.
log() {
	printf '%s\n' "$@" '# exit status 0' | tally_of x.log
}

plan 24
is "$(log 1..2 'ok 1 - a' 'ok 2')" "2 passed, 0 failed, 0 skipped, status 0" "all good"
is "$(log 1..2 'ok 1 - a' 'not ok 2 - b')" "1 passed, 1 failed, 0 skipped, status 1" "one failed"
is "$(log 1..3 'ok 1' 'ok 2')" "2 passed, 1 failed, 0 skipped, status 1" "one never came"
is "$(log 1..1 'ok 1' 'ok 2')" "2 passed, 1 failed, 0 skipped, status 1" "one more than planned"
is "$(log 'ok 1')" "1 passed, 1 failed, 0 skipped, status 1" "no plan"
is "$(log)" "0 passed, 1 failed, 0 skipped, status 1" "nothing at all"
is "$(log 'ok 1' 1..1)" "1 passed, 0 failed, 0 skipped, status 0" "the plan may come last"
is "$(log 1..2 'ok 1' 'ok 2 # SKIP needs: ZFS')" "1 passed, 0 failed, 1 skipped, status 0" "a needed skip"
is "$(log 1..2 'ok 1' 'ok 2 # SKIP no time')" "1 passed, 1 failed, 0 skipped, status 1" "a lazy skip"
is "$(log 1..2 'ok 1' 'not ok 2 # SKIP')" "1 passed, 1 failed, 0 skipped, status 1" "a skip without a reason"
is "$(log '1..0 # SKIP needs: a tape')" "0 passed, 0 failed, 1 skipped, status 1" "nothing passed is not good"
is "$(log 1..1 'ok 1' 'Bail out! power')" "1 passed, 1 failed, 0 skipped, status 1" "bailed out"
is "$(log 1..1 'ok 1' 'okay 2' '# ok 3')" "1 passed, 0 failed, 0 skipped, status 0" "chatter is no test"
is "$(printf '%s\n' 1..1 'ok 1' '# exit status 3' | tally_of x.log)" \
	"1 passed, 1 failed, 0 skipped, status 1" "a bad end"
is "$(printf '%s\n' 1..1 'ok 1' | tally_of x.log)" "1 passed, 1 failed, 0 skipped, status 1" "cut off"
is "$(tally_of x.json </dev/null)" "0 passed, 1 failed, 0 skipped, status 1" "meson ran nothing"
is "$(printf '%s\n' '{"name": "n", "result": "TIMEOUT", "returncode": -9, "stdout": "1..2\nok 1\n"}' | tally_of x.json)" \
	"1 passed, 2 failed, 0 skipped, status 1" "a time limit"

# A test script of a few lines, run on its own.
script() {
	local status=0 text
	printf '%s\n' "set -eu; . tests/tap.sh" "$@" >"$tmp/script"
	text=$(bash "$tmp/script" 2>&1) || status=$?
	echo "$(tr '\n' '|' <<<"$text") status $status"
}

is "$(script 'plan 1' 'ok works true')" "1..1|ok 1 - works| status 0" "tap: ok"
like "$(script 'plan 1' 'ok works false')" '^1\.\.1\|not ok 1 - works\|.* status 1$' "tap: not ok"
like "$(script 'plan 1' 'is a b same')" 'not ok 1 - same\|# got:    a\|# wanted: b\| status 1$' "tap: is"
like "$(script 'plan 2' 'ok works true')" ' status 1$' "tap: fewer than planned"
like "$(script 'plan 2' 'ok works true' false)" 'ended with status 1 after 1 tests\| status 1$' "tap: ended early"
is "$(script 'plan 1' 'cleanup echo "first  one"' 'cleanup echo second' 'ok works true')" \
	"1..1|ok 1 - works|second|first  one| status 0" "tap: cleanups, last in, first out"
is "$(script 'plan 1' 'cleanup echo gone' 'kill -TERM $$' 'ok works true')" \
	"1..1|gone|# ended with status 130 after 0 tests| status 130" "tap: cleanups after a signal"
