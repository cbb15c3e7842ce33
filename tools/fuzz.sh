#!/bin/bash
# fuzz.sh [SECONDS] [TARGET...] - builds the fuzzers with clang and runs each for SECONDS on its corpus. New inputs go
# to build/fuzz-corpus/TARGET; what crashes stays in build/fuzz-crashes, and belongs into tests/fuzz/corpus/TARGET
# with the correction.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
[ -f build/fuzz/build.ninja ] ||
	CC=clang meson setup build/fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C build/fuzz >/dev/null || ninja -C build/fuzz

targets=${*:-$(find tests/fuzz -name 'fuzz_*.c' | sed 's/.*fuzz_//; s/\.c$//' | sort)}
mkdir -p build/fuzz-crashes
failed=
for t in $targets; do
	mkdir -p "build/fuzz-corpus/$t"
	printf 'fuzz_%s: ' "$t"
	if build/fuzz/tests/fuzz/fuzz_"$t" -max_total_time="$seconds" -print_final_stats=1 \
		-artifact_prefix="build/fuzz-crashes/$t-" "build/fuzz-corpus/$t" "tests/fuzz/corpus/$t" \
		>"build/fuzz-crashes/$t.log" 2>&1; then
		awk '/^stat::number_of_executed_units/ { print $2 " inputs, no crash" }' "build/fuzz-crashes/$t.log"
	else
		tail -n 60 "build/fuzz-crashes/$t.log"
		failed="$failed $t"
	fi
done
[ -z "$failed" ] || {
	echo "fuzz: crashes of$failed are in build/fuzz-crashes" >&2
	exit 1
}
