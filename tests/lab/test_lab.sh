#!/bin/bash
# The lab itself: everything else stands on it.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

# What a lab of this name leaves on the machine.
leftovers() {
	find /sys/fs/cgroup -name "wherry-lab.$LAB.*" -prune
	ip netns list | grep -F "wherry.$LAB" || true
	losetup -n -O BACK-FILE | grep -F "/wherry-lab/$LAB/" || true
	ls -d "/run/wherry-lab/$LAB" "/var/tmp/wherry-lab/$LAB" 2>/dev/null || true
	grep -F "/wherry-lab/$LAB/" /proc/self/mounts || true
}

pings() { # NODE ADDRESS
	on "$1" busybox ping -c 1 -W 1 "$2" >/dev/null && echo yes || echo no
}

questions() { # NODE: how many pings it has got
	# shellcheck disable=SC2016 # awk's fields
	on "$1" awk '/^Icmp: [0-9]/ { print $10 }' /proc/net/snmp
}

host_key() { # NODE OF
	on "$1" ssh-keyscan -t ed25519 "$2" 2>/dev/null | cut -d' ' -f3
}

# a place on each kind of disk that a node has
places="/var/lib/wherry /var/lib/lxc /srv/ext4 /srv/btrfs"

plan 33
BUILD='' lab_up

# --- a node is a machine of its own
is "$(on a hostname) $(on b hostname)" "a b" "each node has its name"
is "$(pings a b) $(pings b node-a)" "yes yes" "the nodes resolve and reach each other"
is "$(on a sh -c 'exit 7' || echo $?)" 7 "on passes the exit status on"
is "$(SECRET=1 on a env | cut -d= -f1 | sort | tr '\n' ' ')" \
	"HOME LANG LOGNAME PATH SHELL TERM USER " "on gives a clean environment"
is "$(echo hello | on a cat)" hello "on passes standard input on"
like "$(on a cut -d: -f3 /proc/self/cgroup | sort -u | tr '\n' ' ')" '^(/ )?(/init.scope )?$' \
	"on runs in the node's cgroups"
like "$(host_key a b)" '^AAAA' "sshd of b answers a"
is "$([ "$(host_key a a)" != "$(host_key a b)" ] && echo differ)" differ "their host keys differ"
on a sh -c 'echo mine >/etc/wherry-lab-test; echo mine >/tmp/wherry-lab-test'
is "$(on b ls /etc/wherry-lab-test /tmp/wherry-lab-test 2>/dev/null; ls /etc/wherry-lab-test \
	/tmp/wherry-lab-test 2>/dev/null)" "" "what a writes is seen by neither b nor the machine"
is "$(on a stat -f -c %T /var/lib/lxc /srv/ext4 /srv/btrfs | tr '\n' ' ')" \
	"ext2/ext3 ext2/ext3 btrfs " "each node has its disks"

# --- containers
make_ct a c1 --busybox --address 10.99.0.101
make_ct b c1 --busybox --unprivileged --fs /srv/btrfs --address 10.99.0.102
on a lxc-start c1
on b lxc-start c1
wait_counter a c1
wait_counter b c1
is "$(running_on c1 | tr '\n' ' ')" "a b " "two containers of one name run on two nodes"
is "$(counter_holes a c1)$(counter_holes b c1)" "" "their counters have no holes"
like "$(on net curl -s http://10.99.0.101/)" '^[0-9]+ [0-9.]+$' "a client outside is answered by the one on a"
is "$(on b busybox wget -q -O - http://10.99.0.101/ | wc -w)" 2 "and from the other node"
is "$(on b stat -c %u "$(ct_root b c1)/srv")" 2000000 "an unprivileged container has the ids of its node"
is "$(on a timeout 10 lxc-stop c1 && ct_state a c1)" STOPPED "it stops when it is asked to"
before=$(counter_lines a c1)
on a lxc-start c1
wait_counter a c1
is "$([ "$(counter_lines a c1)" -gt "$before" ] && counter_holes a c1)" "" "and counts on from the disk"
make_ct a deb --debian --address 10.99.0.103
on a lxc-start deb
wait_counter a deb
is "$(on a lxc-attach -n deb -- systemctl is-system-running --wait)" running "a Debian with systemd runs"
is "$(on a timeout 20 lxc-stop deb && ct_state a deb)" STOPPED "and stops"

# --- the link
cut_link on
is "$(pings a b) $(pings b a)" "no no" "a cut link swallows everything between the nodes"
like "$(on net curl -s http://10.99.0.101/)" '^[0-9]' "but not what comes from outside"
cut_link off
is "$(pings a b)" yes "a mended one passes it again"
cut_link on b a
asked=$(questions b)
is "$(pings a b)" no "cut in one direction, answers are lost"
is "$(($(questions b) - asked))" 1 "though the questions arrive"
cut_link off b a

# --- power
on a sh -c "for d in $places; do echo kept >\$d/synced && sync \$d/synced \$d; done"
printf '%s\n' 'lxc.start.auto = 1' | on b tee -a /var/lib/lxc/c1/config >/dev/null
# A busy machine may take so long to the cut that the kernel has written it by itself: then once more.
for _ in 1 2 3; do
	on a sh -c "for d in $places; do rm -f \$d/unsynced; sync \$d; echo lost >\$d/unsynced; done; touch /run/volatile"
	reboot_node a
	on a sh -c "for d in $places; do ls \$d; done" | grep -q unsynced || break
done
is "$(on a sh -c "for d in $places; do cat \$d/synced; done" | sort -u)" kept \
	"what was synced survives a power cut on every disk"
is "$(on a sh -c "for d in $places /run; do ls \$d; done" | grep -E 'unsynced|volatile' || true)" "" \
	"what was not is lost"
is "$(ct_state a c1)$(pings a b)" STOPPEDyes "containers stay down, the network is there again"
is "$(running_on c1)" b "the other node did not notice"
reboot_node b --clean
wait_counter b c1
is "$(running_on c1)" b "a container with autostart comes up with its node"

# --- side by side, and gone
first=$LAB
LAB=${first}x
BUILD='' lab_up
is "$(on a ls /var/lib/lxc | grep -c c1 || true)" 0 "a second lab knows nothing of the first"
make_ct a c2 --busybox
on a lxc-start c2
# Nobody knows any more what this lab had.
rm -rf "/run/wherry-lab/$LAB"
./lab down
is "$(leftovers)" "" "a lab without its records is removed from its name alone"
LAB=$first
is "$(pings a b)" yes "the first lab did not notice"
on a lxc-start c1
on a lxc-freeze c1
./lab down
is "$(leftovers)" "" "down leaves nothing behind, a frozen container neither"
