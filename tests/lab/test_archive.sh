#!/bin/bash
# Containers in files: Wherry's own archives there and back, with everything that a file system can say; broken ones,
# cancelled ones, and those whose worker dies at any point leave everything as it was.
# shellcheck disable=SC2016 # the inner shells'
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

faults_build

export_() { # ARGS...: on a, quietly
	on a wherry --quiet ct export "$@"
}

import_() {
	on a wherry --quiet ct import "$@"
}

# What a container of that name, and anything unfinished, has left on a; files of archives too.
left() { # NAME
	traces a "$1"
	on a sh -c 'ls -d /srv/ext4/*.partial 2>/dev/null' || true
	on a sh -c 'ls -a /var/lib/lxc | grep -x -e "$0"' "$1" || true
}

snapshots() { # NAME
	on a sh -c 'ls /var/lib/lxc/.wherry/snap/"$0"/*/ /srv/*/.wherry/snap/"$0"/*/ 2>/dev/null' "$1" || true
}

same_files() { # FROM TO: of containers on a
	# Its own root's times are LXC's, which makes things there at each start.
	diff <(ct_manifest a "$1" | tail -n +2) <(ct_manifest a "$2" | tail -n +2) | head -n 5
}

fault() { # WHAT
	local pid
	read -r pid _ <"/run/wherry-lab/$LAB/a.pid"
	echo "$1" >"/proc/$pid/root/run/wherry-fault"
}

settled() { # NAME: nothing is owed any more
	[ -z "$(left "$1")$(snapshots "$1")" ]
}

hwaddr() { # NODE NAME
	on "$1" grep hwaddr "/var/lib/lxc/$2/config"
}

runs() { # NAME
	[ "$(ct_state a "$1")" = RUNNING ]
}

plan 124
lab_up
on a sh -c 'echo "WHERRY_FAULT_FILE=/run/wherry-fault" >/etc/wherryd.environment; sync -f /etc'
daemon a stop
daemon a start
for n in a b; do on "$n" wherry --quiet pool add btrfs /srv/btrfs; done
own_ids b

# --- there and back, from each kind of storage to each, by a file and by a pipe, on other nodes
for fs in "" "--fs /srv/btrfs"; do
	from=dir${fs:+no} file=/srv/ext4/${fs:+b}file
	# shellcheck disable=SC2086 # two words
	make_ct a "$from" --unprivileged $fs --address 10.99.0.120
	furnish_ct a "$from"
	on a wherry --quiet ct start "$from"
	wait_counter a "$from"
	export_ "$from" "$file"
	is "$(ct_state a "$from")" RUNNING "$from: it runs as before"
	wait_counter a "$from"
	is "$(counter_holes a "$from")" "" "$from: its counter has no hole"
	is "$(snapshots "$from")" "" "$from: no snapshot is left"
	on a wherry --quiet ct stop "$from"
	for to in default btrfs; do
		import_ --as-id "copy-$to" --pool "$to" "$file"
		is "$(same_files "$from" "copy-$to")" "" "$from to $to: the same files"
		is "$(ct_state a "copy-$to")" STOPPED "$from to $to: it does not run"
		ok "$from to $to: it has another hardware address" \
			test "$(hwaddr a "copy-$to")" != "$(hwaddr a "$from")"
		on a wherry --quiet ct start "copy-$to"
		wait_counter a "copy-$to"
		on a wherry --quiet ct delete --force "copy-$to"
	done
	on a wherry --quiet ct export "$from" - | on b wherry --quiet ct import --start -
	wait_counter b "$from"
	is "$(counter_holes b "$from")" "" "$from: through a pipe to another node, with other ids, where it runs on"
	is "$(hwaddr b "$from")" "$(hwaddr a "$from")" \
		"$from: with the hardware address that it had"
	on b wherry --quiet ct delete --force "$from"
	on a wherry --quiet ct start "$from"
	export_ --no-consistent "$from" "$file.live"
	import_ --as-id live "$file.live"
	on a wherry --quiet ct start live
	is "$(ct_state a live)$(ct_state a "$from")" RUNNINGRUNNING "$from: --no-consistent"
	on a wherry --quiet ct delete --force live
	on a wherry --quiet ct delete --force "$from"
	import_ "$file"
	ok "$from: deleted and brought back under its name" on a wherry --quiet ct start "$from"
	on a wherry --quiet ct delete --force "$from"
done

# --- what the tests of the tree engine torment it with, compared by a program that shares nothing with it
make_ct a odd --busybox
root=/proc/$(cut -d' ' -f1 "/run/wherry-lab/$LAB/a.pid")/root
mkdir "$root$(ct_root a odd)/nasty"
"$BUILD/tests/fidelity/nasty" "$root$(ct_root a odd)/nasty" --flags --huge
export_ odd /srv/ext4/odd
import_ --as-id odd-dir /srv/ext4/odd
import_ --as-id odd-btrfs --pool btrfs /srv/ext4/odd
ok "ext4 to ext4: the same, to the last flag" \
	"$BUILD/tests/fidelity/same" "$root$(ct_root a odd)/nasty" "$root$(ct_root a odd-dir)/nasty"
# Comparing has read the links.
ok "ext4 to btrfs: the same" \
	"$BUILD/tests/fidelity/same" "$root$(ct_root a odd)/nasty" "$root$(ct_root a odd-btrfs)/nasty" --no-atime
export_ --compression off odd-btrfs /srv/ext4/odd-btrfs
on a wherry --quiet ct delete odd-dir
import_ --as-id odd-dir /srv/ext4/odd-btrfs
ok "and back" \
	"$BUILD/tests/fidelity/same" "$root$(ct_root a odd)/nasty" "$root$(ct_root a odd-dir)/nasty" --no-atime
for c in odd odd-dir odd-btrfs; do on a wherry --quiet ct delete "$c"; done

# --- refusals
make_ct a web --busybox --line 'lxc.hook.start-host = /bin/true'
like "$(refusal a wherry ct export nosuch /srv/ext4/x)" "no container 'nosuch'" "no such container"
export_ web /srv/ext4/small
like "$(refusal a wherry ct export web /srv/ext4/small)" "there is a file .* already" "a file is not replaced"
ok "unless it is said" export_ --force web /srv/ext4/small
like "$(refusal a wherry ct export --format osctl --skel --compression nine web /srv/ext4/x)" "compression is" "a bad word"
like "$(refusal a wherry ct import /srv/ext4/small)" "there is a container 'web' already" "a taken name"
like "$(refusal a wherry ct import --as-id ../x /srv/ext4/small)" "can't be a container's name" "a bad name"
like "$(refusal a wherry ct import --as-id x --max-size 64K /srv/ext4/small)" "more than .* --max-size" "too large"
like "$(refusal a wherry ct import --as-id x --pool nosuch /srv/ext4/small)" "nosuch" "no such pool"
like "$(refusal a wherry ct import --as-id x /bin/true)" "neither an archive of Wherry's nor" "something else"
like "$(on a wherry ct import --as-id x /srv/ext4/small)" "left out: lxc.hook.start-host" "a hook on the host stays out"
is "$(on a grep -c hook.start-host /var/lib/lxc/x/config || true)" 0 "for certain"
on a wherry --quiet ct delete x
import_ --as-id x --allow-refused /srv/ext4/small
is "$(on a grep -c hook.start-host /var/lib/lxc/x/config)" 1 "unless the operator trusts the archive"
on a wherry --quiet ct delete x

# --- what is no file, and where no archive can go
on a mkfifo /srv/ext4/fifo
like "$(refusal a timeout 20 wherry ct import --as-id x /srv/ext4/fifo)" "is a pipe, not a file" "a pipe by its name"
like "$(refusal a timeout 20 wherry ct import --as-id x /srv/ext4)" "is a folder, not a file" "a folder"
like "$(refusal a timeout 20 wherry ct import --as-id x /dev/zero)" "is a device, not a file" "a device"
like "$(refusal a wherry ct export --force web /srv/ext4/fifo)" "is not a file, and is not replaced" "a pipe is not replaced"
on a sh -c 'cat /srv/ext4/small >/srv/ext4/fifo & wherry --quiet ct import --as-id x - </srv/ext4/fifo'
is "$(ct_state a x)" STOPPED "but a pipe can be standard input"
on a wherry --quiet ct delete x
on a rm /srv/ext4/fifo
on a wherry --quiet ct start web
wait_counter a web
pid=$(on a lxc-info -n web -pH)
inside=$(ct_root a web)/srv
on a mkdir -p "$inside"
like "$(refusal a wherry ct export web "$inside/web.wherry")" "is inside container 'web' itself" "into its own root"
like "$(refusal a sh -c 'wherry ct export web - >"$0"' "$inside/web.wherry")" "is inside container 'web' itself" \
	"nor by a descriptor"
is "$(on a lxc-info -n web -pH)" "$pid" "it was not even stopped"
on a rm -f "$inside/web.wherry"

# --- a full disk where the archive goes: all of it is said, nothing is left, the container runs
on a sh -c 'truncate -s 16M /srv/ext4/tiny.img && mkfs.ext4 -q /srv/ext4/tiny.img && mkdir -p /srv/tiny &&
	mount -o loop /srv/ext4/tiny.img /srv/tiny'
on a sh -c 'head -c 40000000 /dev/urandom >"$0/bulk"' "$inside"
for format in wherry osctl; do
	like "$(refusal a wherry ct export --format "$format" web /srv/tiny/web.archive)" \
		"the disk of /srv/tiny/web.archive is full after .* make room there" "$format: a full disk"
	is "$(on a ls /srv/tiny)" lost+found "$format: nothing is left there"
	ok "$format: it runs" runs web
done
on a sh -c 'umount /srv/tiny && rm /srv/ext4/tiny.img "$0/bulk"' "$inside"
on a wherry --quiet ct stop web

# --- data behind its end
on a sh -c 'cp /srv/ext4/small /srv/ext4/more && head -c 70000 /dev/zero >>/srv/ext4/more'
ok "zeros behind its end are padding" import_ --as-id x /srv/ext4/more
on a wherry --quiet ct delete x
on a sh -c 'echo x >>/srv/ext4/more'
like "$(refusal a wherry ct import --as-id x /srv/ext4/more)" "data behind the archive's end" "anything else is not"
is "$(left x)" "" "and nothing is left"
on a rm /srv/ext4/more

# --- broken archives leave nothing behind
size=$(on a stat -c %s /srv/ext4/small)
bad=0
for at in 0 5 17 40 200 1000 $((size / 3)) $((size / 2)) $((size - 300)) $((size - 40)) $((size - 1)); do
	on a sh -c 'head -c "$0" /srv/ext4/small >/srv/ext4/cut' "$at"
	[ "$(refusal a wherry ct import --as-id x /srv/ext4/cut)" != "(it did it)" ] || bad=$((bad + 1))
	[ $((at < size - 1)) = 0 ] || [ -z "$(left x)" ] || bad=$((bad + 1))
	on a cp /srv/ext4/small /srv/ext4/flip
	on a sh -c 'printf "\\377\\001\\200" | dd of=/srv/ext4/flip bs=1 seek="$0" conv=notrunc status=none' "$at"
	[ "$(refusal a wherry ct import --as-id x /srv/ext4/flip)" != "(it did it)" ] || bad=$((bad + 1))
	[ -z "$(left x)" ] || bad=$((bad + 1))
done
is "$bad" 0 "cut off or damaged anywhere, it is refused"
is "$(left x)" "" "and nothing is left"
on a rm -f /srv/ext4/cut /srv/ext4/flip

# --- osctl's layout: what it cannot hold of the furniture is one socket, and the times of folders that are too deep
osctl_same() { # FROM TO
	diff <(ct_manifest a "$1" | tail -n +2 | grep -av -e /0000000 -e special/socket) \
		<(ct_manifest a "$2" | tail -n +2 | grep -av -e /0000000 -e special/socket) | head -n 5 | cut -c 1-200
}

make_ct a theirs --unprivileged --address 10.99.0.121
furnish_ct a theirs
on a wherry --quiet ct start theirs
wait_counter a theirs
export_ --format osctl theirs /srv/ext4/theirs.tar
is "$(ct_state a theirs)" RUNNING "osctl: it runs as before"
on a wherry --quiet ct stop theirs
is "$(on a tar -tf /srv/ext4/theirs.tar | tr '\n' ' ')" \
	"metadata.yml config/ config/user.yml config/group.yml config/container.yml rootfs/ rootfs/base.tar.gz " \
	"osctl: its members, as GNU tar sees them"
for pool in default btrfs; do
	import_ --as-id ours --pool "$pool" /srv/ext4/theirs.tar
	is "$(osctl_same theirs ours)" "" "osctl: to $pool, the same files"
	on a wherry --quiet ct start ours
	wait_counter a ours
	on a wherry --quiet ct delete --force ours
done
export_ --format osctl --compression zstd theirs /srv/ext4/theirs.zst.tar
import_ --as-id ours /srv/ext4/theirs.zst.tar
is "$(osctl_same theirs ours)" "" "osctl: by zstd, the same files"
on a wherry --quiet ct delete ours
on a sh -c 'cat /srv/ext4/theirs.tar | wherry --quiet ct import --as-id ours -'
is "$(osctl_same theirs ours)" "" "osctl: from a pipe, the same files"
on a wherry --quiet ct delete ours
like "$(refusal a sh -c 'wherry ct export --format osctl theirs - | cat >/dev/null')" "." "osctl: not into a pipe"
export_ --format osctl --skel theirs /srv/ext4/theirs.skel
is "$(on a tar -tf /srv/ext4/theirs.skel | tail -n 1)" config/container.yml "osctl: skel"

made() { # KIND
	/usr/bin/python3 osctl-archive.py "$1" "$root/srv/ext4/made"
}

for kind in plain endless padded inner-padded; do
	made "$kind"
	on a wherry ct import /srv/ext4/made >"/run/wherry-lab/$LAB/said"
	is "$(on a cat /var/lib/lxc/vps/rootfs/etc/hostname)" vps "osctl: one of theirs, $kind"
	is "$(in_ct_ids a vps stat -c %u:%g /var/lib/lxc/vps/rootfs/etc/hostname)" 5:7 "osctl: $kind: owners"
	on a wherry --quiet ct delete vps
done
like "$(cat "/run/wherry-lab/$LAB/said")" "left out: lxc.hook.pre-start" "osctl: raw hooks stay out"
like "$(cat "/run/wherry-lab/$LAB/said")" "left out: lxc.mount.entry" "osctl: host paths stay out"
like "$(cat "/run/wherry-lab/$LAB/said")" "left out: a hook" "osctl: hook files stay out"
like "$(cat "/run/wherry-lab/$LAB/said")" "blkio.weight = 500 is not kept" "osctl: what has no equivalent is told"
for kind in dotdot hardlink owner zfs headless yaml crc short nameless garbage garbage-far inner-garbage twice; do
	made "$kind"
	refusal a wherry ct import /srv/ext4/made >"/run/wherry-lab/$LAB/said"
	is "$(grep -c 'it did it' "/run/wherry-lab/$LAB/said" || true)$(left vps)" 0 "osctl: $kind is refused, and nothing is left"
done
made zfs
like "$(refusal a wherry ct import /srv/ext4/made)" "ZFS" "osctl: of zfs archives it says why"
for kind in skel skel-endless; do
	made $kind
	like "$(on a wherry ct import /srv/ext4/made)" "holds no files" "osctl: $kind: says that there are no files"
	is "$(ct_state a vps)$(on a sh -c 'ls -A /var/lib/lxc/vps/rootfs')" STOPPED "osctl: $kind: a container with an empty root"
	like "$(on a cat /var/lib/lxc/vps/config)" "lxc.cgroup2.memory.max = 268435456" "osctl: $kind: and its configuration"
	on a wherry --quiet ct delete vps
done
import_ --as-id skel /srv/ext4/theirs.skel
is "$(ct_state a skel)" STOPPED "osctl: a skel of ours"
on a wherry --quiet ct delete skel
made symlink
import_ /srv/ext4/made
is "$(on a cat /var/lib/lxc/vps/rootfs/out/evil)" evil "osctl: what goes through a symlink stays inside"
on a wherry --quiet ct delete vps
made bomb
like "$(refusal a wherry ct import --max-size 16M /srv/ext4/made)" "max-size" "osctl: a bomb is refused"
is "$(left vps)$(on a sh -c 'ls -d /evil 2>/dev/null' || true)" "" "osctl: and nothing is left, here or outside"

# --- a worker that dies, at every point
on a wherry --quiet ct start web
for point in export.stop.before export.stopped export.taken export.started; do
	fault "$point:kill!"
	refusal a wherry ct export web /srv/ext4/dead >/dev/null
	ok "killed at $point: it runs again, and nothing is left" wait_for 60 settled dead
	ok "killed at $point: for certain" wait_for 60 runs web
	is "$(on a sh -c 'ls /srv/ext4/dead* 2>/dev/null' || true)" "" "killed at $point: there is no half an archive"
done
fault "export.taken:enospc!"
like "$(refusal a wherry ct export web /srv/ext4/dead)" "." "a full disk: it is said"
ok "and the container runs" runs web
is "$(left dead)" "" "and nothing is left"
for point in import.staged import.filled import.defined import.published; do
	fault "$point:kill!"
	refusal a wherry ct import --as-id x /srv/ext4/small >/dev/null
	ok "killed at $point: nothing is left" wait_for 60 settled x
done
ok "and then it works" import_ --as-id x /srv/ext4/small
