#!/bin/bash
# Incus's own `copy` and `copy --refresh` between two servers, for comparing: it needs two of them, on dir pools, as remotes
# of this user's client, and an image with a shell. Debian 12 has Incus in bookworm-backports only.
#
#   INCUS_A=s1 INCUS_B=s2 IMAGE=bb tests/bench/incus.sh
set -u
RUNS=${RUNS:-3} FILES=${FILES:-200000}
a=${INCUS_A:-} b=${INCUS_B:-}
if ! command -v incus >/dev/null || [ -z "$a" ] || [ -z "$b" ]; then
	echo "# incus: not measured: no client, or no two servers named by INCUS_A and INCUS_B"
	exit 0
fi

ms() {
	local from
	from=$(date +%s%N)
	"$@" >/dev/null || echo "# failed: $*" >&2
	echo $((($(date +%s%N) - from) / 1000000))
}
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.2f\n", v[int((NR + 1) / 2)] / 1000 }'; }

incus init "$a:${IMAGE:-bb}" "$a:bench"
incus start "$a:bench"
incus exec "$a:bench" -- sh -c "i=0; while [ \$i -lt $FILES ]; do mkdir -p /files/\$((i / 100)); head -c \$((1024 + i % 7168)) /dev/urandom >/files/\$((i / 100))/\$i; i=\$((i + 1)); done"
incus stop "$a:bench"
echo "| case | incus_s |"
echo "|---|---|"
echo "| first copy, $FILES small files | $(for ((i = 0; i < RUNS; i++)); do
	ms incus copy "$a:bench" "$b:bench"
	[ "$i" = $((RUNS - 1)) ] || incus delete "$b:bench"
done | median) |"
echo "| nothing changed | $(for ((i = 0; i < RUNS; i++)); do ms incus copy --refresh "$a:bench" "$b:bench"; done | median) |"
incus delete "$a:bench"
incus delete "$b:bench"
