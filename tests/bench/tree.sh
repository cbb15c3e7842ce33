#!/bin/bash
# The tree engine against rsync and a tar pipe, from ext4 to ext4; what is printed: lib.sh.
#
#   tests/bench/tree.sh [small] [cold] [root] [large] [later] [place]     # root; ROOT=a Debian root, else one is made
. "$(dirname "$0")/lib.sh"

# Later passes: both destinations are up to date, one change, both are timed.
later() { # CASE CHANGE
	local name=$1 change=$2 i
	clear_times
	for ((i = 0; i < RUNS; i++)); do
		"$change" "$i"
		settle
		sleep 2.1 # what changed a moment ago is looked at once more
		timed ours ours
		mv "$work/b/to" "$work/b/mine" && mv "$work/b/other" "$work/b/to"
		settle
		timed by_rsync by_rsync
		mv "$work/b/to" "$work/b/other" && mv "$work/b/mine" "$work/b/to"
	done
	line "$name" by_rsync
}
prepare_later() {
	make_target ext4
	rm -rf "$work/index"* "$work/state"
	sleep 2.1
	by_rsync >/dev/null
	mv "$work/b/to" "$work/b/other" && mkdir "$work/b/to"
	ours && ours
}
some_files() { # N SEED
	find "$source" -type f | sort | shuf -n "$1" --random-source=<(yes "$2")
}
nothing() { :; }
hundred() { some_files 100 "$1" | while read -r f; do echo "$1" >>"$f"; done; }
move_dir() { mv "$source/d$1" "$source/moved-$1"; }
remove_some() { some_files $((FILES / 100)) "$1" | xargs rm -f; }
overwrite() {
	python3 - "$source/large-0" "$1" <<'END2'
import os, random, sys
random.seed(sys.argv[2])
size = os.path.getsize(sys.argv[1])
with open(sys.argv[1], "r+b") as f:
    for i in range(size // 20 // (1 << 20)):
        f.seek(random.randrange(size >> 20) << 20)
        f.write(os.urandom(1 << 20))
END2
}
fresh_source() {
	rm -rf "$source"
	mkdir "$source"
}
debian_root() {
	if [ -n "${ROOT:-}" ]; then
		cp -a "$ROOT/." "$source"
	else # parts of this machine's own system, about as much as a small one has in all
		for d in etc usr/bin usr/sbin usr/include usr/lib/python3 usr/share/doc usr/share/perl usr/share/zoneinfo var/lib/dpkg; do
			[ ! -e "/$d" ] || (cd / && cp -a --parents "$d" "$source" 2>/dev/null)
		done
	fi
	du -shx "$source" | awk '{ print "# the Debian root: " $1 }'
}

source=$work/a/from
make_source ext4
want=" ${*:-small cold root large later place} "
header
case $want in *" small "* | *" cold "* | *" later "*) fresh_source && small_files "$source" ;; esac
case $want in *" small "*) first "first copy, $FILES small files" ext4 by_rsync by_tar ;; esac
case $want in *" cold "*) cold=1 first "the same, cold cache" ext4 by_rsync by_tar ;; esac
case $want in *" later "*)
	prepare_later
	later "nothing changed, $FILES files" nothing
	later "100 files changed" hundred
	later "a folder of 10000 files renamed" move_dir
	later "1 % of files deleted" remove_some
	;;
esac
case $want in *" root "*)
	fresh_source && debian_root
	first "first copy, a Debian root" ext4 by_rsync by_tar
	;;
esac
case $want in *" large "* | *" place "*) fresh_source && large_files "$source" ;; esac
case $want in *" large "*) first "first copy, $N_BIG x $BIG" ext4 by_rsync by_tar ;; esac
case $want in *" place "*)
	prepare_later
	later "5 % of $BIG in place" overwrite
	;;
esac
