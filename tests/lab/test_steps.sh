#!/bin/bash
# The steps of a send one by one: their order, what changes between them, cancel, clone, the older names.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

send() { # CMD...: on a, quietly
	on a wherry --quiet ct "$@"
}

plan 62
lab_up
trust a b
trust b a
own_ids a b
for n in a b; do on "$n" wherry --quiet pool add btrfs /srv/btrfs; done

# --- step by step, with changes in between, on both kinds of pool
for fs in "" "--fs /srv/btrfs"; do
	name=step${fs:+fs}
	# shellcheck disable=SC2086 # two words
	make_ct a "$name" --unprivileged $fs
	furnish_ct a "$name"
	on a wherry --quiet ct start "$name"
	send send config "$name" b
	like "$(refusal a wherry ct send state "$name")" "^wherry: .*rootfs" "$name: state before rootfs names the next step"
	like "$(refusal a wherry ct send cleanup "$name")" "^wherry: .*$name" "$name: cleanup before the transfer is refused"
	send send rootfs "$name"
	furnish_ct a "$name" again
	is "$(on a wherry ct send sync "$name" | grep -c changed)" 0 "$name: its configuration has not changed"
	send send sync "$name"
	in_ct_ids a "$name" touch "$(ct_root a "$name")/furniture/last"
	like "$(refusal a wherry ct send cleanup "$name")" "^wherry: .*$name" "$name: and still after the copies"
	is "$(running_on "$name")" a "$name: until then it runs where it is"
	ct_manifest a "$name" | tail -n +2 >"/run/wherry-lab/$LAB/before"
	wait_counter a "$name"
	send send state "$name"
	is "$(running_on "$name")" b "$name: state moves it"
	wait_counter b "$name"
	is "$(counter_holes b "$name")" "" "$name: its counter has no hole"
	is "$(ct_manifest b "$name" | tail -n +2 | diff "/run/wherry-lab/$LAB/before" - | head -n 5)" "" \
		"$name: every change has arrived"
	is "$(on a lxc-start "$name" 2>/dev/null && echo started; running_on "$name")" b \
		"$name: it cannot be started where it was, not by hand either"
	is "$([ -d "/proc/$(cut -d' ' -f1 "/run/wherry-lab/$LAB/a.pid")/root$(ct_root a "$name")/furniture" ] && echo there)" \
		there "$name: its files stay there until cleanup"
	send send cleanup "$name"
	is "$(traces a "$name")" "" "$name: and are gone after it"
	is "$(running_on "$name")" b "$name: which the other does not notice"
done

# --- cancel, after each step that can be cancelled
make_ct a stay --busybox
furnish_ct a stay
on a wherry --quiet ct start stay
traces a stay >"/run/wherry-lab/$LAB/traces"
for steps in "config" "config rootfs" "config rootfs sync"; do
	for step in $steps; do
		case $step in
		config) send send config stay b ;;
		*) send send "$step" stay ;;
		esac
	done
	send send cancel stay
	is "$(traces b stay)" "" "cancel after $steps: nothing is left there"
	is "$(traces a stay)" "$(cat "/run/wherry-lab/$LAB/traces")" "cancel after $steps: nor here"
	is "$(running_on stay)" a "cancel after $steps: it runs on"
done
send send stay b
is "$(running_on stay)" b "and can be sent as if nothing had been"

# --- the configuration is the user's until the stop
config_of() { # NODE NAME EXPRESSION: edits it by hand
	on "$1" sed -i "$3" "/var/lib/lxc/$2/config"
}
lines_of() { # NODE NAME PATTERN
	on "$1" grep -c -- "$3" "/var/lib/lxc/$2/config" || true
}
make_ct a conf --busybox --address 10.99.0.120 --line 'lxc.cgroup.pids.max = 66' --line 'lxc.net.0.hwaddr = 00:16:3e:11:22:33'
on a wherry --quiet ct start conf
send send config conf b
send send rootfs conf
config_of a conf 's/^\(lxc.cgroup.pids.max\).*/\1 = 77/'
like "$(on a wherry ct send sync conf)" 'configuration.*conf.*changed.*b' "an edit between config and sync is told"
config_of a conf '$ a lxc.start.auto = 1'
config_of a conf '$ a lxc.hook.start = /bin/true'
like "$(refusal a wherry ct send state conf)" '^wherry: .*conf.*changed.*lxc.hook.start' "one that the destination won't have is one sentence"
is "$(running_on conf)" a "... before the stop"
config_of a conf '/lxc.hook.start/d'
config_of a conf 's|^\(lxc.rootfs.path *= *\).*|\1/srv|'
like "$(refusal a wherry ct send state conf)" '^wherry: .*volumes.*conf.*cancel' "another root is not this container any more"
config_of a conf "s|^\(lxc.rootfs.path *= *\).*|\1dir:$(on a readlink -f /var/lib/lxc/conf/rootfs)|"
is "$(running_on conf)" a "... it runs on"
send send state conf
is "$(running_on conf)" b "then it is moved"
is "$(lines_of b conf '^lxc.cgroup.pids.max *= *77')" 1 "with what was edited before sync"
is "$(lines_of b conf '^lxc.start.auto *= *1')" 1 "and before state"
send send cleanup conf
on b wherry --quiet ct delete --force conf

# --- move or copy: in steps the last one says it
make_ct a kind --busybox --address 10.99.0.121 --line 'lxc.net.0.hwaddr = 00:16:3e:11:22:44'
on a wherry --quiet ct start kind
send send config kind b
send send rootfs kind
daemon b stop
like "$(refusal a wherry ct send state --clone kind)" '^wherry: ' "a copy that fails"
daemon b start
send send state kind
is "$(running_on kind)" b "... does not make a copy of the next try"
is "$(lines_of b kind 00:16:3e:11:22:44)" 1 "which takes its address along"
send send cleanup kind
on b wherry --quiet ct send kind a
send send config kind b
send send rootfs kind
send send state --clone kind
is "$(running_on kind | tr '\n' ' ')" "a b " "state --clone after a plain config copies"
is "$(lines_of b kind 00:16:3e:11:22:44)" 0 "and the copy has not the address"
send send cleanup kind
is "$(running_on kind | tr '\n' ' ')" "a b " "cleanup after a copy removes neither"
on b wherry --quiet ct delete --force kind

# --- what arrived is not what was sent
make_ct a spoilt --busybox
on a wherry --quiet ct start spoilt
send send config spoilt b
send send rootfs spoilt
# shellcheck disable=SC2016 # the node's shell
on b sh -c 'rm "$(find /var/lib/lxc/.wherry/staged -path "*/rootfs/etc/inittab")"'
send send sync spoilt
like "$(on a wherry ct send state spoilt 2>&1 || true)" 'is not what it is here.*sends all of it anew' \
	"a file that is missing there keeps the container here"
is "$(running_on spoilt | tr '\n' ' ')" "a " "where it runs again"
send send state spoilt
is "$(running_on spoilt | tr '\n' ' ')" "b " "the next try has sent it all"
ok "also what was missing" on b test -e /var/lib/lxc/spoilt/rootfs/etc/inittab
send send cleanup spoilt

# --- options
make_ct a orig --busybox --address 10.99.0.110
on a wherry --quiet ct start orig
send send --clone orig b
is "$(running_on orig | tr '\n' ' ')" "a b " "a clone runs on both"
is "$(on b grep -c hwaddr /var/lib/lxc/orig/config || true)" 0 "with another hardware address"
on b wherry --quiet ct delete --force orig
is "$(traces b orig)" "" "delete leaves nothing"
send send --clone --as-id other --no-start --no-network-interfaces orig b
is "$(ct_state b other)" STOPPED "--as-id and --no-start"
is "$(on b grep -c 'veth' /var/lib/lxc/other/config || true)" 0 "--no-network-interfaces"
is "$(on a grep -c 'veth' /var/lib/lxc/orig/config)" 1 "which the original keeps"
send send --no-start orig b
is "$(running_on orig)$(ct_state b orig)" STOPPED "a move with --no-start leaves it stopped there"

# --- the older names
make_ct a old --busybox
on a wherry --quiet ct start old
send migrate stage old b
send migrate sync old
send migrate transfer old
is "$(running_on old)" b "ct migrate stage, sync, transfer"
send migrate cleanup old
is "$(traces a old)" "" "ct migrate cleanup"
make_ct a now --busybox
on a wherry --quiet ct start now
send migrate now now b
is "$(running_on now)" b "ct migrate now"
