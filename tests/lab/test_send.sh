#!/bin/bash
# A container in one go from node to node: every kind of container, from and to every kind of pool.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

before=$(mktemp)

new() { # NAME OPTIONS...: on a, furnished and running
	make_ct a "$@"
	furnish_ct a "$1"
	on a wherry --quiet ct start "$1"
}

plan 57
cleanup rm -f "$before"
lab_up
trust a b
trust b a
own_ids a b
for n in a b; do
	on "$n" wherry --quiet pool add ext4 /srv/ext4
	on "$n" wherry --quiet pool add btrfs /srv/btrfs
done

new priv --busybox --address 10.99.0.101
moves "privileged" priv a b
moves "and back" priv b a

new unpriv --unprivileged --address 10.99.0.102
moves "unprivileged, other ids there" unpriv a b
moves "and back" unpriv b a

new mapped --shift
moves "unprivileged by an id-mapped mount" mapped a b

new sub --fs /srv/btrfs --unprivileged
moves "btrfs to btrfs" sub a b --to-pool btrfs
moves "btrfs to ext4" sub b a --to-pool ext4
moves "ext4 to btrfs" sub a b --to-pool btrfs

new deb --debian --unprivileged --address 10.99.0.103
moves "a Debian with systemd" deb a b
is "$(on b lxc-attach -n deb -- systemctl is-system-running --wait)" running "its systemd is content"

new web --debian --fs /srv/btrfs --address 10.99.0.104
# The one thing that btrfs itself cannot send: a path of more than 4095 bytes.
on a sh -c "rm -r $(ct_root a web)/furniture/0*"
moves "a privileged Debian on btrfs" web a b --to-pool btrfs
like "$(on net curl -s http://10.99.0.104/)" '^[0-9]+ [0-9.]+$' "it answers at its address"

# Stopped, it is not started.
make_ct a quiet --busybox
furnish_ct a quiet
ct_manifest a quiet >"$before"
is "$(on a wherry --quiet ct send quiet b && echo sent)" sent "stopped: it is sent"
is "$(ct_state b quiet)" STOPPED "stopped: it stays so"
is "$(ct_manifest b quiet | diff "$before" - | head -n 5)" "" "stopped: its files are the same"
is "$(traces a quiet)" "" "stopped: nothing is left where it was"

# What arrived needs nothing of Wherry.
on b lxc-stop deb
for f in /usr/bin/wherry /usr/lib/wherry; do on b mv $f $f.away; done
on b lxc-start deb
wait_counter b deb
is "$(ct_state b deb)" RUNNING "it starts with Wherry uninstalled"
