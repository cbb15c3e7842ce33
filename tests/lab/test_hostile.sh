#!/bin/bash
# A peer that lies, stops talking, sends garbage, replays and floods; a key used for another's transfer; a
# container that fights back. Whatever it is told, the node keeps its promises and its other files.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

key=/var/lib/wherry/send-receive/key

# raw KEY WORDS...: a verb by hand, as any holder of the key can; what comes back, on one line.
raw() {
	local k=$1
	shift
	on a timeout 40 ssh -T -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		-o IdentitiesOnly=yes -i "$k" -l wherry-receive b "$@" 2>&1 | head -c 4096 | tr '\n' ' ' || true
}

# stage NAME: the first step for real; prints the transfer's token.
stage() {
	on a wherry ct send config "$1" b --json | grep -o '"token":"[0-9a-f]*"' | tail -1 | cut -d'"' -f4
}

# What must never change on b, whoever calls.
elsewhere() {
	on b sh -c 'find /etc /usr/lib/wherry /root /var/lib/lxc /srv -xdev ! -path "*/.wherry*" ! -path /var/lib/lxc -newer /run/mark 2>/dev/null'
}

plan 33
lab_up
trust a b
make_ct a web --busybox
make_ct a other --busybox
on a wherry ct start web
wait_counter a web 3
on a ssh-keygen -q -t ed25519 -N '' -C mallory -f /tmp/mallory
on a cat /tmp/mallory.pub | on b wherry receive authorized-keys add mallory
on b touch /run/mark

token=$(stage web)
like "$token" '^[0-9a-f]{40}$' "a transfer is open"

# Another key
like "$(raw /tmp/mallory receive status "$token")" '"none"' "another key learns nothing of it"
like "$(raw /tmp/mallory receive cancel "$token")" '"none"' "nor cancels it"
like "$(raw /tmp/mallory receive cancel web)" '"none"' "nor by the container's name"
like "$(raw /tmp/mallory receive base "$token" rootfs </dev/null)" '"not-found"' "nor sends into it"
like "$(raw /tmp/mallory receive transfer "$token" start <<<'{"commit":{"epoch":0,"start":true}}')" '"not-found"' "nor takes it over"
like "$(raw /tmp/mallory receive skel <<<'{"protocol":1,"epoch":0,"token":"'"$token"'","ct":{"name":"evil"},"volumes":[]}')" \
	'"error"' "nor begins one of its own with that token"
like "$(raw $key receive status "$token")" '"staged"' "the transfer has not noticed"

# Out of order
like "$(raw $key receive transfer "$token" start <<<'{"commit":{"epoch":0,"start":true}}')" '"state"' "a commit before anything was sent is refused"
like "$(raw $key receive transfer "$token" start <<<'{"prepare":{"volumes":{}}}')" '"error"' "so is a prepare"
like "$(raw $key receive cleanup "$token")" '"state"' "and a cleanup"

# Garbage
like "$(on a sh -c 'head -c 3000000 /dev/urandom >/tmp/garbage'
	on a bash -c "timeout 40 ssh -T -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i $key -l wherry-receive b receive base $token rootfs </tmp/garbage" 2>&1 || true)" \
	'"error"' "garbage instead of a stream is an error"
like "$(raw $key receive skel <<<'{{{{')" '"error"' "garbage instead of a line"
like "$(on a bash -c "head -c 300000 /dev/zero | tr '\\0' x | timeout 40 ssh -T -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i $key -l wherry-receive b receive skel" 2>&1 || true)" \
	'"error"' "a line without an end"
like "$(raw $key "receive skel ; touch /tmp/owned")" 'error|[Uu]sage' "words for a shell"
# shellcheck disable=SC2016 # for a shell that must never see it
like "$(raw $key 'receive status $(touch /tmp/owned)')" 'error|[Uu]sage' "and in its quotes"
ok "no shell has seen them" on b test ! -e /tmp/owned
like "$(raw $key receive base "$token" ../../../etc </dev/null)" '"error"' "a volume that is a path"
like "$(raw $key receive incremental "$token" rootfs ../../x </dev/null)" '"error"' "a snapshot that is a path"

# Silence: somebody opens a stream and says nothing; the owner of the transfer is not held up by it.
on a bash -c "sleep 300 | timeout 100 ssh -T -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i $key -l wherry-receive b receive base $token rootfs" >/dev/null 2>&1 &
silent=$!
sleep 1
ok "a silent stream does not hold up the real one" on a wherry ct send rootfs web
kill "$silent" 2>/dev/null || true

# Flood
for _ in $(seq 1 60); do raw /tmp/mallory receive hello >/dev/null & done
ok "the next step works in a flood of calls" on a wherry ct send sync web
wait

# The real one goes on, and ends for good.
ok "the hand-over after all that" on a wherry ct send state web
is "$(running_on web | tr '\n' ' ')" "b " "it runs on b"
is "$(counter_holes b web)" "" "without a hole"

# Replays
like "$(raw $key receive cancel "$token")" '"state"' "what was handed over can't be cancelled"
like "$(raw $key receive transfer "$token" start <<<'{"commit":{"epoch":0,"start":true}}')" '"owner"' "a commit again changes nothing"
on a wherry ct send cleanup web
like "$(raw $key receive base "$token" rootfs </dev/null)" '"state"' "a closed token takes no data"
dead=$(stage other)
on a wherry ct send cancel other
like "$(raw $key receive transfer "$dead" start <<<'{"commit":{"epoch":0,"start":true}}')" '"cancelled"' "a cancelled token stays dead"
is "$(ct_state b other)" "" "and nothing of it is there"

is "$(elsewhere | grep -v '/web' || true)" "" "no other file of b has changed"

# A container that ignores the stop signal, forks without end and swaps its folders for links while it is read.
# shellcheck disable=SC2016 # the node's shell
on a sh -c 'r=$(sed -n "s/^lxc.rootfs.path *= *\(dir:\)\{0,1\}//p" /var/lib/lxc/other/config)
	cat >$r/usr/local/bin/fight <<-"EOT"
		#!/bin/sh
		trap "" TERM INT HUP PWR USR1 USR2
		mkdir -p /srv/dir/sub; echo mine >/srv/dir/sub/file
		while :; do mv /srv/dir /srv/away; ln -s /etc /srv/dir; rm -f /srv/dir; mv /srv/away /srv/dir; done &
		while :; do sh -c "exit 0" & wait $!; done
	EOT
	chmod +x $r/usr/local/bin/fight
	sed -i "1i ::respawn:/usr/local/bin/fight" $r/etc/inittab'
on a wherry ct start other
sleep 0.5
on a wherry ct send other b || true
is "$(running_on other | wc -l)" 1 "a container that fights runs once, after its send"
# The link to /etc may be what stands there at this moment: it is looked at, never followed.
like "$(on b sh -c 'cd /var/lib/lxc/other/rootfs/srv && find . -xdev')" '^\.' "it is on b"
is "$(on b find /var/lib/lxc/other/rootfs/srv -xdev -name passwd)" "" "and its files are its own"
