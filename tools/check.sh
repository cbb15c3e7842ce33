#!/bin/bash
# check.sh - everything that must hold, in one run, as root: style, all builds, all tests. Ends with one line,
# "N passed, N failed, N skipped", and exits with 0 only if none failed. A skip counts as failed unless its
# reason starts with "needs:" and names what this kind of machine cannot do.
#
#   tools/check.sh               what `make check` runs: all but the virtual machines
#   tools/check.sh all           those, too
#   tools/check.sh vm            the build and the tests on virtual machines
#   tools/check.sh unit tree     the builds and these phases: style house unit storage convert tree lab
#
# Logs: build/check/*.log, one a suite. Environment: LAB_BUILD=build/gcc, the build that the lab's nodes run.
set -u
cd "$(dirname "$0")/.." || exit 1

out=build/check
phases=${*:-style house unit storage convert tree lab}
[ "$phases" != all ] || phases="style house unit storage convert tree lab vm"
verdicts=$out/check.log
n_verdicts=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1}
# A lab test makes a lab of its own name: two may run side by side.
unset LAB

[ "$(id -u)" = 0 ] || {
	echo "check: needs root: the tests make loop devices, mounts and namespaces" >&2
	exit 1
}
# What the tests make goes here, and must be gone in the end.
TMPDIR=$(mktemp -d /tmp/wherry-check.XXXXXX) || exit 1
export TMPDIR

# Cancelled: what runs in the background has labs to take down, so it is asked, and waited for.
stop() {
	trap - INT TERM
	# shellcheck disable=SC2046 # a list
	kill -TERM $(jobs -p) 2>/dev/null
	wait
	exit 130
}
trap stop INT TERM

wanted() {
	case " $phases " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# verdict DESCRIPTION LOG CMD...: one test, that CMD succeeds.
verdict() {
	local what=$1 log=$out/$2.log word=ok
	shift 2
	"$@" >"$log" 2>&1 || word="not ok"
	n_verdicts=$((n_verdicts + 1))
	echo "$word $n_verdicts - $what" >>"$verdicts"
	[ "$word" = ok ] || {
		tail -n 40 "$log" | sed 's/^/# /' >>"$verdicts"
		return 1
	}
}

# phase NAME CMD...: says what runs and how long it took.
phase() {
	local name=$1 begun=$SECONDS
	shift
	printf '%-10s ' "$name"
	"$@"
	printf '%d min %02d s\n' $(((SECONDS - begun) / 60)) $(((SECONDS - begun) % 60))
}

# --- style

shell_scripts() {
	grep -rlIE '^#!/bin/(ba)?sh|^# shellcheck shell=' .ci data tests tools
}

# shellcheck disable=SC2046 # a list of names that have no blanks
style() {
	verdict "src and tests are formatted" format tools/format check
	verdict "the layers hold" layers tools/check-layers
	verdict "shellcheck finds nothing" shellcheck shellcheck -x -P SCRIPTDIR $(shell_scripts)
}

# --- builds

configure_and_build() { # DIR CC MESON-OPTIONS...
	local dir=$1 cc=$2
	shift 2
	# Options may have changed since it was made; an unchanged one costs nothing.
	if [ -f "$dir/build.ninja" ]; then
		meson configure "$dir" "$@" || return 1
	else
		CC=$cc meson setup "$dir" "$@" || return 1
	fi
	ninja -C "$dir"
}

builds() {
	verdict "gcc builds without a warning" build-gcc configure_and_build build/gcc gcc -Dwerror=true
	# The virtual machines run that one.
	[ "$phases" != vm ] || return 0
	verdict "clang builds without a warning" build-clang configure_and_build build/clang clang -Dwerror=true
	verdict "clang builds with sanitizers and faults" build-asan configure_and_build build/asan clang \
		-Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false -Dfaults=true
	verdict "musl-gcc builds the static binary" build-static configure_and_build build/static musl-gcc \
		-Dwerror=true -Dstatic=true
	# The nodes of tests/lab/test_faults.sh run this one.
	! wanted lab || verdict "gcc builds with faults" build-faults configure_and_build build/faults gcc \
		-Dwerror=true -Dfaults=true
}

# --- tests

# The programs that meson knows, fuzz corpora included, in the sanitizer build.
unit() {
	rm -f build/asan/meson-logs/testlog.json
	meson test -C build/asan --no-rebuild --suite unit --suite fuzz --num-processes 2 --timeout-multiplier 4 \
		--quiet >"$out/unit.log" 2>&1
	# No log: not one test ran, which the tally must see.
	cp build/asan/meson-logs/testlog.json "$out/unit.json" 2>/dev/null || : >"$out/unit.json"
}

script() { # SCRIPT BUILD
	local log pid status=0
	log=$out/$(basename "$(dirname "$1")")-$(basename "$1" .sh).log
	BUILD=$2 timeout -k 60 1500 "$1" >"$log" 2>&1 </dev/null &
	pid=$!
	trap 'kill -TERM $pid; wait $pid' TERM
	wait $pid || status=$?
	echo "# exit status $status" >>"$log"
}

# scripts FOLDER BUILD [HOW-MANY]: its tests, two at a time.
scripts() {
	local s
	for s in tests/"$1"/test[-_]*.sh; do
		[ -e "$s" ] || continue
		while [ "$(jobs -rp | wc -l)" -ge "${3:-2}" ]; do wait -n; done
		script "$s" "$2" &
	done
	wait
}

nothing_left() {
	local status=0
	find "$TMPDIR" -mindepth 1 | grep . && status=1
	losetup -n -O NAME,BACK-FILE | grep -F "$TMPDIR/" && status=1
	grep -F " $TMPDIR/" /proc/self/mounts && status=1
	[ $status != 0 ] || rmdir "$TMPDIR"
	return $status
}

rm -rf "$out"
mkdir -p "$out"
! wanted style || phase style style
phase build builds
! wanted house || phase house scripts house "$PWD/build/asan"
! wanted unit || phase unit unit
! wanted storage || phase storage scripts storage "$PWD/build/asan"
! wanted convert || phase convert scripts convert "$PWD/build/asan"
! wanted tree || phase tree scripts tree "$PWD/build/asan"
! wanted lab || phase lab scripts lab "${LAB_BUILD:-build/gcc}"
! wanted vm || phase vm scripts vm "$PWD/build/gcc" 1
verdict "the tests leave nothing behind" left nothing_left
echo "1..$n_verdicts" >>"$verdicts"
echo "# exit status 0" >>"$verdicts"

inputs=("$verdicts")
for log in "$out"/house-*.log "$out"/unit.json "$out"/storage-*.log "$out"/convert-*.log "$out"/tree-*.log "$out"/lab-*.log "$out"/vm-*.log; do
	[ ! -e "$log" ] || inputs+=("$log")
done
exec tools/tally "${inputs[@]}"
