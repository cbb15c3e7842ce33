#!/bin/bash
# A container that swaps folders and files with symbolic links and devices while it is read: nothing from
# outside its tree may arrive, and once it is still, all of it does.
. "$(dirname "$0")/lib.sh"
plan 4

make_fs a ext4
make_fs b ext4
fresh a/tree b/tree a/outside
head -c 5000 /dev/zero | tr '\0' S >"$work/a/outside/secret"
mkdir -p "$work/a/tree/top/real/deeper"
for ((i = 0; i < 300; i++)); do
	echo "inside $i" >"$work/a/tree/top/real/$i"
	echo "inside $i" >"$work/a/tree/top/real/deeper/secret$i"
done
echo inside >"$work/a/tree/top/real/secret"
ln -s "$work/a/outside" "$work/a/tree/top/link"
echo inside >"$work/a/tree/top/file"
ln -s "$work/a/outside/secret" "$work/a/tree/top/file.link"
mknod "$work/a/tree/top/node" c 1 5 # endless zeros to whoever opens it
echo inside >"$work/a/tree/top/not-a-node"

pids=()
for pair in real:link file:file.link node:not-a-node; do
	"$BUILD/tests/fidelity/swap" "$work/a/tree/top" "${pair%:*}" "${pair#*:}" &
	pids+=($!)
done
passes() {
	local i
	for ((i = 0; i < ${PASSES:-60}; i++)); do
		send a/tree b/tree commit || return 1
		! grep -rqs SSSS "$work/b/tree" || {
			echo "a secret arrived in pass $i"
			return 1
		}
	done
}
ok "passes while everything is swapped" passes
kill "${pids[@]}"
wait "${pids[@]}" 2>/dev/null || true
ok "then a last one" send a/tree b/tree final commit
ok "all of it arrived" same "$work/a/tree" "$work/b/tree"
ok "what is outside is as it was" grep -q '^S*$' "$work/a/outside/secret"
