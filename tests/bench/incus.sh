#!/bin/bash
# Incus's own `copy` and `copy --refresh` between two servers with dir pools on ext4, against the tree engine on the same
# tree and the same filesystems. The servers run here, from Debian's backports: fetched into the build folder by this
# script, from the mirror that the machine's own sources name, and not installed. The container is never started.
#
#   RUNS=3 FILES=200000 tests/bench/incus.sh        # root
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
root=$BUILD/bench-incus/root

fetch() {
	local cache=$BUILD/bench-incus keys=/usr/share/keyrings/debian-archive-keyring.gpg codename uri options deb
	codename=$(sed -n "s/^VERSION_CODENAME=//p" /etc/os-release)
	# shellcheck disable=SC2016 # apt's own $()
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" 'Component: main' | head -n 1)
	[ -n "$uri" ] || return
	mkdir -p "$cache/lists/partial" "$cache/archives/partial"
	[ ! -e "$keys" ] && keys= || keys=" [signed-by=$keys]"
	echo "deb$keys $uri $codename-backports main" >"$cache/sources.list"
	options=(-q -o "Dir::State::Lists=$cache/lists" -o "Dir::Cache=$cache" -o "Dir::Etc::SourceList=$cache/sources.list")
	apt-get "${options[@]}" update && apt-get "${options[@]}" -y --no-install-recommends -t "$codename-backports" \
		--download-only install incus-base incus-client || return
	for deb in "$cache"/archives/*.deb; do
		dpkg-deb -x "$deb" "$root.new" || return
	done
	mv "$root.new" "$root"
}

# --- two servers
at() { # SERVER CMD...: as its administrator
	local n=$1
	shift
	INCUS_DIR=$work/s$n INCUS_CONF=$work/local "$@"
}
stop_server() { # N PID
	kill "$2"
	wait "$2"
	awk -v top="$work/s$1/" 'index($2, top) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r -n 1 umount
}
server() { # N
	mkdir -p "$work/s$1"
	INCUS_DIR=$work/s$1 "$root/usr/libexec/incus/incusd" >"$work/log.s$1" 2>&1 &
	cleanup stop_server "$1" $!
	at "$1" "$root/usr/libexec/incus/incusd" waitready --timeout 60 &&
		at "$1" incus config set core.https_address "127.0.0.1:$((port + $1))" &&
		incus remote add "s$1" "$(at "$1" incus config trust add bench -q)"
}
empty_image() {
	mkdir -p "$work/image/rootfs/sbin"
	: >"$work/image/rootfs/sbin/init"
	printf 'architecture: %s\ncreation_date: 1700000000\nproperties: {description: empty}\n' "$(uname -m)" >"$work/image/metadata.yaml"
	tar -C "$work/image" -cf "$work/image.tar" metadata.yaml rootfs
	incus image import "$work/image.tar" s1: --alias empty
}
servers() {
	server 1 && server 2 && empty_image && incus storage create s1:from dir source="$work/a/pool" &&
		incus init s1:empty s1:bench -s from -c security.privileged=true
}

# --- the ways
by_incus() {
	incus copy s1:bench s2:bench -s "$to" && sync -f "$work/b"
}
by_incus_refresh() {
	incus copy --refresh s1:bench s2:bench && sync -f "$work/b"
}
pool() { # NAME: of the second server, on the fresh target
	to=$1
	mkdir "$work/b/pool" && incus -q storage create "s2:$to" dir source="$work/b/pool"
}
unpool() {
	incus -q delete s2:bench && incus -q storage delete "s2:$to"
}
copies() {
	local i
	clear_times
	for ((i = 0; i < RUNS; i++)); do
		make_target ext4
		rm -rf "$work/index"* "$work/state"
		settle
		timed ours ours
		make_target ext4
		pool "to$i"
		settle
		timed by_incus by_incus
		[ "$i" = $((RUNS - 1)) ] || unpool
	done
	line "first copy, $FILES small files" by_incus
}
refreshes() { # the last target of copies has Incus's copy
	local i
	clear_times
	mkdir -p "$work/b/to"
	rm -rf "$work/index"* "$work/state"
	ours && sleep 2.1 && ours
	for ((i = 0; i < RUNS; i++)); do
		settle
		timed ours ours
		settle
		timed by_incus by_incus_refresh
	done
	line "nothing changed, $FILES files" by_incus
}

[ -d "$root" ] || fetch >"$BUILD/bench-incus.log" 2>&1 || {
	echo "# incus: not measured: no Incus in the backports of this machine's mirror ($BUILD/bench-incus.log)"
	exit 0
}
PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH INCUS_SECURITY_APPARMOR=false INCUS_CONF=$work/client
make_source ext4
mkdir "$work/a/pool"
servers >"$work/log" 2>&1 </dev/null || {
	diag "incus: $(tail -n 5 "$work/log" "$work"/log.s*)"
	exit 1
}
source=$work/a/pool/containers/bench/rootfs
small_files "$source"
header
copies
refreshes
unpool
