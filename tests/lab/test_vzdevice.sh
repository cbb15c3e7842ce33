#!/bin/bash
# vzmigrate between pools and filesystems of their own, and the hand-over of a device that both nodes see (a loop
# device here), in the words of its document: containers that run, are stopped, are stopped and mounted. A detector
# looks whether two nodes ever have the device mounted.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh
# shellcheck source=san.sh
. ./san.sh

# vzm NODE OPTIONS...: what it says and its exit status.
vzm() {
	local node=$1 status=0
	shift
	on "$node" wherry vzmigrate "$@" 2>&1 </dev/null || status=$?
	echo "status $status"
}

other() { [ "$1" = a ] && echo b || echo a; }

# moved WHAT FROM OPTIONS...: 201, which runs, moves to the other node; what holds then.
moved() {
	local what=$1 from=$2 to said
	to=$(other "$2")
	shift 2
	wait_counter "$from" 201
	ct_manifest "$from" 201 | tail -n +2 >"/run/wherry-lab/$LAB/before"
	said=$(vzm "$from" -t "$@" "$to" 201)
	like "$said" "status 0$" "$what: it is moved"
	diag "$what: $(grep 'stopped in all' <<<"$said")"
	is "$(running_on 201)" "$to" "$what: it runs there and nowhere else"
	wait_counter "$to" 201 || true
	is "$(counter_holes "$to" 201)" "" "$what: its counter has no hole"
	is "$(ct_manifest "$to" 201 | tail -n +2 | diff "/run/wherry-lab/$LAB/before" - | head -n 5)" "" "$what: its files are the same"
	is "$(traces "$from" 201)" "" "$what: nothing is left where it was"
}

plan 78
lab_up
trust a b --allow-devices
trust b a --allow-devices
# Their files go from one to the other as they are, ids too: both nodes' root has the same ranges.
for n in a b; do on $n sh -c 'echo root:1000000:655360 >/etc/subuid; cp /etc/subuid /etc/subgid'; done
san_up one 1G
san_up two 1G

# --- the four ways, and the hand-over
make_ct a 201 --unprivileged
furnish_ct a 201
on a wherry --quiet ct start 201
moved "pooled to dedicated" a --dst-device "$(san one)"
is "$(mounted_on one)" b "its filesystem is mounted on the destination"
is "$(on b findmnt -no SOURCE "$(ct_root b 201)")" "$(san one)" "and it is the device that was named"
watch_san one
moved "hand-over" b
is "$(mounted_on one)" a "the device is mounted on the other node now"
moved "hand-over back" a
unwatch_san
is "$(twice)" 0 "no moment in which both nodes had it mounted"
diag "detector: $(cat "/run/wherry-lab/$LAB/detector")"
moved "dedicated to dedicated" b --dst-device "$(san two)"
is "$(mounted_on two)" a "it is on the second device"
is "$(mounted_on one)" "" "the first is free"
ok "and still has its files, they are the operator's" has_files one
moved "dedicated to pooled" a --dst-pooled
is "$(mounted_on two)" "" "the second is free, too"
like "$(on b cat /var/lib/lxc/201/config)" "rootfs.path = /var/lib/lxc/201/rootfs" "it lies in the pool"
is "$(on b grep -c 'hook.pre-start' /var/lib/lxc/201/config || true)" 0 "and nothing is mounted for it any more"

# --- what is refused
like "$(vzm b --dst-device "$(san one)" a 201)" "not empty.*status [0-9]+$" "a device with files on it is not written over"
is "$(running_on 201)" b "it runs on"
like "$(vzm b --dst-device /dev/nothere a 201)" "nothere.*status [0-9]+$" "a device that is not there"
like "$(vzm b --dst-device "$(san one)" --dst-pooled a 201)" "not both.*status 1$" "onto a device and into the pool"
is "$(on b wherry --json ct show 201 | grep -c '"send"')" 0 "nothing is left of any of it"
on a wherry --quiet receive authorized-keys del b
# shellcheck disable=SC2016 # the node's shell
on b sh -c 'cat "$(wherry send key path public)"' | on a wherry --quiet receive authorized-keys add b
san_wipe one
like "$(vzm b --dst-device "$(san one)" a 201)" "allow-devices.*status [0-9]+$" "a key that may not name devices"
on a wherry --quiet receive authorized-keys del b
# shellcheck disable=SC2016 # the node's shell
on b sh -c 'cat "$(wherry send key path public)"' | on a wherry --quiet receive authorized-keys add b --allow-devices

# --- stopped; stopped and mounted
on b wherry --quiet ct stop 201
like "$(vzm b --dst-device "$(san one)" a 201)" "status 0$" "a stopped one goes onto a device"
is "$(ct_state a 201)" STOPPED "and is stopped there"
is "$(mounted_on one)" "" "and its filesystem is not mounted"
like "$(vzm a --check-only b 201)" "can be moved.*status 0$" "the hand-over of a stopped one can be checked"
is "$(mounted_on one)" "" "which leaves its filesystem unmounted"
like "$(vzm a --dry-run b 201)" "unmount.*Nothing was changed" "a dry run says what a hand-over does"
watch_san one
like "$(vzm a b 201)" "status 0$" "a stopped one is handed over"
is "$(ct_state b 201)" STOPPED "it is stopped there"
is "$(ct_state a 201)" "" "and gone here"
is "$(mounted_on one)" "" "and its filesystem is mounted nowhere"
on b mount -t ext4 "$(san one)" /mnt
is "$(on b sh -c 'ls -A /mnt | grep -c wherry')" 0 "the mark of the hand-over is gone"
on b umount /mnt
on b sh "$(ct_root b 201).mount"
is "$(mounted_on one)" b "it is mounted, as before a start"
like "$(vzm b a 201)" "status 0$" "a stopped and mounted one is handed over"
is "$(ct_state a 201)" STOPPED "it is stopped there"
is "$(mounted_on one)" a "and mounted there"
unwatch_san
is "$(twice)" 0 "no moment in which both nodes had it mounted"
on a wherry --quiet ct start 201
wait_counter a 201
is "$(counter_holes a 201)" "" "its counter has no hole after all of it"

# --- the wrong device
san_copy one three
watch_san one
moved "hand-over beside a copy with the same UUID" a
is "$(mounted_on one)" b "the mark tells them apart"
is "$(mounted_on three)" "" "and the copy is left alone"
unwatch_san
is "$(twice)" 0 "no moment in which both nodes had it mounted"

# --- a node whose pool makes filesystems of its own kind
on a sh -c 'mkdir /srv/ext4/images && wherry --quiet pool add images /srv/ext4/images --driver image --size 600M'
on b wherry --quiet ct send --hand-over --to-pool images 201 a
is "$(running_on 201),$(mounted_on one)" a,a "the device is handed over to it"
moved "and back" a
san_wipe two
on b wherry --quiet ct send --to-device "$(san two)" --to-pool images 201 a
is "$(running_on 201),$(mounted_on two)" a,a "a device that is named is the one, not an image"

# --- what is left of an earlier send
on a wherry --quiet ct send config 201 b --hand-over
on a wherry --quiet ct send cancel 201
like "$(vzm a -r no b 201)" "status 0$" "handed over, and kept here"
cancelled="FROM transfer WHERE ct = '201' AND role = 'source' AND phase = 'cancelled'"
sql_a() { on a python3 -c 'import sqlite3, sys
c = sqlite3.connect("/var/lib/wherry/state.db", timeout=20)
print(*(r[0] for r in c.execute(sys.argv[1])), sep="\n")
c.commit()' "$1"; }
swept() { [ "$(sql_a "SELECT count(*) $cancelled AND json_extract(facts, '\$.unswept')")" = 0 ]; }
is "$(sql_a "SELECT count(*) $cancelled")" 1 "one that was cancelled is known"
sql_a "UPDATE transfer SET facts = json_set(facts, '\$.unswept', json('true')) ${cancelled#FROM transfer}" >/dev/null
daemon a kill
ok "it is swept after the hand-over" wait_for 60 swept
like "$(on a cat "$(ct_root a 201).mount")" "state='released'" "which gives the device back to nobody"
is "$(mounted_on two)" b "only the owner has it mounted"
