#!/bin/bash
# The binary for OpenVZ nodes: one file that needs nothing of the node's, on a kernel as old as theirs, and does there what
# the ordinary one does here. Then what stands in for system calls that such a kernel lacks, by the unit tests.
# shellcheck source-path=SCRIPTDIR source=../fs.sh
. "$(dirname "$(readlink -f "$0")")/../fs.sh"
plan 16
here=$(dirname "$(readlink -f "$0")")
static=${STATIC:-$here/../../build/static}/src/vz6/wherry-vz6
old=$BUILD/tests/convert/old-kernel
wherry=$BUILD/src/cli/wherry
unset WHERRY_RUN_DIR

[ -x "$static" ] || {
	diag "there is no $static: make static builds it"
	exit 1
}

is "$(readelf -lW "$static" | grep -cE 'INTERP|DYNAMIC' || true)" 0 "it asks for no loader and no library"
is "$(objdump -T "$static" 2>/dev/null | grep -c GLIBC || true)" 0 "and for nothing of glibc's"
size=$(stat -c %s "$static")
diag "$size bytes, $(strip -o "$work/stripped" "$static" && stat -c %s "$work/stripped") without what a debugger wants"
ok "it is small" [ "$size" -lt $((12 << 20)) ]

# --- the filter, before anything is believed that ran under it
"$old" "$(command -v true)" 2>/dev/null && status=0 || status=$?
is "$status" 127 "the filter: a program of this machine's libc does not even start"
is "$("$old" --calls python3 -c 'import os
try: os.getrandom(1)
except OSError as e: print(e.errno)')" 38 "the filter: getrandom is not there"
is "$("$old" | cut -d' ' -f1)" \
	"$(printf '#include <asm/unistd.h>\n' | cc -E -dM - | awk '$2 ~ /^__NR_/ && $3 > 298 { print $3 }' | sort -n)" \
	"the filter: its list has every younger system call of the kernel's headers"
is "$("$old" | awk '{ split($2, v, "."); if (v[1] < 2 || (v[1] == 2 && v[2] == 6 && v[3] < 33)) print }')" "" \
	"and no older one"

# --- the same as the ordinary one
cat >"$work/on-old" <<END
#!/bin/sh
exec "$old" "$static" "\$@"
END
chmod +x "$work/on-old"
differ=0
for f in "$here"/../data/veconf/*.conf*; do
	for how in '' --json; do
		# shellcheck disable=SC2086 # an option or none
		cmp <("$work/on-old" $how vz6 config "$f" 2>&1 | sed 's/^wherry-vz6:/wherry:/') \
			<("$wherry" $how vz6 config "$f" 2>&1) || differ=$((differ + 1))
	done
done
is "$differ" 0 "vz6 config says of every sample what the ordinary one says"
is "$("$work/on-old" vz6 fixup --list | tr -s ' ' | sed 's/ $//')" "$("$wherry" vz6 fixup --list | tr -s ' ' | sed 's/ $//')" \
	"its tables say the same"

# Its own tests, with it.
for t in fixup ploop; do
	WHERRY=$work/on-old "$here/test-$t.sh" >"$work/$t.log" 2>&1 && status=0 || status=$?
	is "$status $(grep -c '^not ok' "$work/$t.log" || true)" "0 0" "test-$t.sh: $(grep -c '^ok' "$work/$t.log") tests pass with it"
	[ "$status" = 0 ] || grep -A 5 '^not ok' "$work/$t.log" | sed 's/^/# /'
done

# What it cannot do on such a kernel it says before anything is touched.
like "$("$work/on-old" vz6 export 101 "$work/archive" 2>&1)" 'older than Linux 2.6.39' "vz6 export refuses a kernel without O_PATH"

# --- a root where there is nothing else
mkdir -p "$work/empty/ct/etc" "$work/empty/etc/vz/conf"
cp "$static" "$work/empty/wherry-vz6"
cp "$here"/../data/veconf/legacy__ve-basic.conf-sample "$work/empty/etc/vz/conf/101.conf"
ok "in a root with no other file: vz6 config" chroot "$work/empty" /wherry-vz6 vz6 config 101

# --- what stands in, by the tests of what it stands in for; the sanitizers themselves need younger calls
plain=$(dirname "$BUILD")/gcc
[ -d "$plain" ] || plain=$BUILD
for t in beneath proc file; do
	ok "without younger system calls: test_$t" env SOURCE_ROOT="$here/../.." "$old" --calls "$plain/tests/unit/test_$t"
done
