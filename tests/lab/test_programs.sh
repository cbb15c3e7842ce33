#!/bin/bash
# The programs on a real node: who may call, keys and sshd, other names, the daemon's life.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

# says NODE CMD...: what it prints on both outputs, and its exit status on the last line.
says() {
	local status=0
	on "$@" 2>&1 || status=$?
	echo "status $status"
}

as_nobody() { # CMD...
	says b setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
}

# What the sender's key can do on the other node.
ssh_to_b() {
	says a ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR -o IdentitiesOnly=yes \
		-i /var/lib/wherry/send-receive/key -l wherry-receive "$@"
}

listed() { # PATTERN: authorised keys whose line matches
	on b wherry receive authorized-keys list | grep -c "$1" || true
}

# How many bytes come through a port that the key forwards to the other node's sshd.
forwarded() {
	on a bash -c "timeout 5 ssh -N -L 9999:127.0.0.1:22 -o BatchMode=yes -o StrictHostKeyChecking=no \
		-i /var/lib/wherry/send-receive/key wherry-receive@b >/dev/null 2>&1 & sleep 1
		exec 3<>/dev/tcp/127.0.0.1/9999; timeout 2 head -c 3 <&3 | wc -c; kill %1"
}

plan 43
lab_up

# --- who may call
out=$(as_nobody wherry ct list)
like "$out" '^wherry: ct list needs root: run it as root' "not root: one sentence"
like "$out" 'status 7$' "... and its exit status"
like "$(as_nobody wherry --json ct list)" '^\{"error":\{"code":"denied","text":' "... and as JSON"
is "$(as_nobody wherry send key path)" "/var/lib/wherry/send-receive/key.pub
status 0" "where the key is, anybody may know"
is "$(on b stat -c '%a %U %G' /run/wherry/control.sock)" "600 root root" "the control socket is root's"
is "$(on b stat -c '%a %U %G' /run/wherry/receive.sock)" "660 root wherry-receive" "the receive user has a socket of its own"

# --- this node's key
like "$(says a cat /var/lib/wherry/send-receive/key)" 'status 1$' "at first there is no key"
like "$(says a wherry send key gen)" '^Made /var/lib/wherry/send-receive/key' "it is made"
like "$(on a cat /var/lib/wherry/send-receive/key.pub)" '^ssh-ed25519 [A-Za-z0-9+/=]+ wherry@a$' "ed25519, with a comment"
like "$(says a wherry send key gen)" 'status 4$' "it is not replaced by accident"
is "$(on a stat -c '%a %U' /var/lib/wherry/send-receive/key)" "600 root" "it is root's alone"
is "$(says a /usr/lib/wherry/compat/osctl send key path private)" "/var/lib/wherry/send-receive/key
status 0" "osctl is another name"
like "$(says a wherry migration key gen -t ecdsa -f)" 'status 0$' "migration key is an older name"
like "$(on a cat /var/lib/wherry/send-receive/key.pub)" '^ecdsa-sha2-nistp521 ' "ecdsa of the usual length"
key=$(on a cat /var/lib/wherry/send-receive/key.pub)

# --- whom this node lets in
like "$(ssh_to_b -T b)" 'Permission denied.*status 255$' "an unknown key does not come in"
is "$(echo "$key" | says b wherry receive authorized-keys add)" "Authorised as wherry@a
status 0" "a key is authorised by one line on standard input"
like "$(echo "$key" | says b wherry receive authorized-keys add other)" 'status 4$' "not a second time"
like "$(printf '%s\n%s\n' "$key" "$key" | says b wherry receive authorized-keys add x)" 'status 2$' "a second line is refused"
like "$(echo "no-pty $key" | says b wherry receive authorized-keys add x)" 'status 2$' "options in front are refused"
like "$(echo "ssh-ed25519 AAAA" | says b wherry receive authorized-keys add x)" 'status 2$' "what is no key is refused"
like "$(says b wherry receive authorized-keys add x </dev/null)" 'status 2$' "nothing is refused"
is "$(listed .)" 2 "none of these left a trace"

# --- what is behind the key
like "$(ssh_to_b -T b)" "^Usage:
  receive skel \\[pool\\]
  receive base \\[pool:\\]<id> <dataset> \\[snapshot\\]
  receive incremental \\[pool:\\]<id> <dataset> \\[snapshot\\]
  receive transfer \\[pool:\\]<id> \\[start\\]
  receive cancel \\[pool:\\]<id>
.*status 1\$" "ssh by hand prints the verbs"
like "$(ssh_to_b -T b id)" 'status 2$' "no other command runs"
like "$(ssh_to_b -T b 'receive status x; touch /tmp/pwned')" 'status 2$' "nor behind a verb"
# shellcheck disable=SC2016 # it is meant to stay as it is
like "$(ssh_to_b -T b 'receive status $(touch /tmp/pwned)')" 'status 2$' "nor inside one"
is "$(says b ls /tmp/pwned 2>/dev/null | tail -n 1)" "status 2" "nothing of that was run"
like "$(ssh_to_b -tt b)" 'PTY allocation request failed' "there is no terminal"
is "$(forwarded)" 0 "nothing is forwarded"
like "$(on a sftp -o BatchMode=yes -o StrictHostKeyChecking=no -i /var/lib/wherry/send-receive/key wherry-receive@b 2>&1 </dev/null || echo refused)" \
	'refused$' "no files are fetched"
like "$(ssh_to_b -T b receive hello)" '\{"ok":\{.*"hostname":"b"' "a verb is answered by the daemon"
like "$(says b wherry receive authorized-keys del wherry@a)" 'status 0$' "a key is withdrawn"
like "$(ssh_to_b -T b)" 'Permission denied.*status 255$' "and does not come in any more"

# --- the daemon's life
daemon b stop
is "$(says b wherry ct list)" "wherry: wherryd is not running on this host: systemctl start wherryd
status 9" "without a daemon: one sentence"
echo "$key" | on b wherry receive authorized-keys list >/dev/null 2>&1 || true
daemon b start
like "$(says b wherry status)" '^Wherry .* on b, wherryd up for' "it is there again"
echo "$key" | on b wherry receive authorized-keys add a >/dev/null
daemon b stop
like "$(ssh_to_b -T b receive hello)" '^\{"error":\{"code":"unreachable".*status 9$' "a sender hears that it is not running"
daemon b start
daemon b kill
wait_for 10 on b wherry status
like "$(ssh_to_b -T b receive hello)" '\{"ok":' "after kill -9 it is started again, keys and all"
like "$(says b /usr/sbin/wherryd)" 'another wherryd answers.*status 5$' "a second one does not start"
on b rm -f /etc/wherry/wherry.conf
like "$(says b wherry pool list)" 'status 0$' "without a configuration everything has its default"
printf '[node]\nreceive_usr = x\n' | on b tee /etc/wherry/wherry.conf >/dev/null
like "$(says b wherry pool list)" 'receive_usr.*status 2$' "a mistake in it is named"
on b rm -f /etc/wherry/wherry.conf

# --- sockets that systemd made
daemon b stop
on b sh -c 'systemd-socket-activate --seqpacket -l /run/wherry/control.sock -l /run/wherry/receive.sock \
	--fdname=control:receive /usr/sbin/wherryd >/tmp/activated.log 2>&1 & echo $! >/tmp/activated'
wait_for 10 on b test -S /run/wherry/receive.sock
made=$(on b stat -c %i /run/wherry/control.sock)
like "$(says b wherry status)" 'on b, wherryd up for' "a daemon is started by the first call"
is "$(on b stat -c %i /run/wherry/control.sock)" "$made" "... on the socket that was made for it"
# shellcheck disable=SC2016 # the node's
on b sh -c 'kill $(cat /tmp/activated)'
daemon b start
like "$(says b wherry status)" 'status 0$' "and one without that takes over"
