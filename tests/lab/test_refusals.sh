#!/bin/bash
# What is refused in one clear sentence before anything changed: the container runs on, nothing is there.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

# unharmed WHAT: after a refusal.
unharmed() {
	is "$(running_on web)$(traces b web)" a "$1: it runs on, nothing is there"
}

plan 43
lab_up
make_ct a web --busybox --address 10.99.0.101
on a lxc-start web

# --- the other node
on a wherry --quiet send key gen
like "$(refusal a wherry ct send web nowhere.invalid)" '^wherry: .*nowhere.invalid' "an unknown host"
like "$(refusal a wherry ct send web b)" '^wherry: .*host key.*--accept-new-host-key' "an unknown host key, and what to do"
unharmed "unknown host key"
like "$(refusal a wherry ct send web b --accept-new-host-key)" '^wherry: .*key' "a key that is not authorised"
unharmed "key not authorised"
# shellcheck disable=SC2016 # the node's shell
on a sh -c 'cat "$(wherry send key path public)"' | on b wherry --quiet receive authorized-keys add a
like "$(refusal a wherry ct send nope b)" '^wherry: .*nope' "an unknown container"
like "$(refusal a wherry ct send web b --to-pool nope)" '^wherry: .*nope' "an unknown pool"
like "$(refusal a wherry ct send web b -p 2222)" '^wherry: .*2222' "a port where nobody listens"
cut_link on
like "$(refusal a wherry ct send web b)" '^wherry: .*b' "a node that does not answer"
cut_link off
unharmed "no answer"
daemon b stop
like "$(refusal a wherry ct send web b)" '^wherry: .*(wherryd.* b|b.*wherryd)' "no daemon there"
daemon b start
unharmed "no daemon there"
# shellcheck disable=SC2016 # the node's shell
on b sh -c 'rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key &&
	kill -HUP $(cat /run/sshd.pid)'
like "$(refusal a wherry ct send web b)" '^wherry: .*changed' "a changed host key"
like "$(refusal a wherry ct send web b --accept-new-host-key)" '^wherry: .*changed' "which is not accepted as a new one"
unharmed "changed host key"
on a rm /var/lib/wherry/send-receive/known_hosts
on a sh -c 'ssh-keyscan -t ed25519 b 2>/dev/null >/var/lib/wherry/send-receive/known_hosts'

# --- this node
daemon a stop
like "$(refusal a wherry ct list)" '^wherry: .*wherryd' "no daemon here"
daemon a start
like "$(refusal a setpriv --reuid 65534 --clear-groups wherry ct list)" '^wherry: .*root' "not root"
for step in rootfs sync state cleanup; do
	like "$(refusal a wherry ct send $step web)" '^wherry: .*web' "$step of a container that is not being sent"
done
like "$(refusal a wherry ct send web)" '^wherry: .*(HOST|host|[Uu]sage)' "no host named"
long=$(printf 'x%.0s' $(seq 300))
like "$(refusal a wherry ct show "$long")" '^wherry: the name of the container is too long: 300 bytes, 64 are possible .x{32}\.\.\.\)$' "a name that is too long"
like "$(refusal a wherry ct send web b --as-id "$long")" '^wherry: the new name of the container is too long' "as a new name, too"
on a sh -c 'cp /var/lib/lxc/web/config /root/web.config; printf "# a comment\nxc.cap.drop = sys_time\n" >>/var/lib/lxc/web/config'
like "$(refusal a wherry ct send web nowhere.invalid)$(on a wherry ct send web b --dry-run 2>&1 | grep ignores)" \
	"LXC ignores line [0-9]+ .xc.cap.drop = sys_time. of its configuration, so it is not sent$" "a line that LXC ignores is named before anything changes"
on a sh -c 'echo lxc.tty.max >>/var/lib/lxc/web/config'
like "$(refusal a wherry ct send web b)" 'line [0-9]+ has no "=": lxc.tty.max' "one that LXC would not start with is refused"
like "$(on a wherry ct list)" 'web +running .* line [0-9]+ has no "="' "the container still runs, and the list says so, and why it can't be read"
on a cp /root/web.config /var/lib/lxc/web/config
unharmed "lines that mean nothing"
like "$(refusal a wherry ct send web b --no-such-option)" '^wherry: .*no-such-option' "an unknown option"

# --- what the other node has not got
make_ct b web --busybox
like "$(refusal a wherry ct send web b)" '^wherry: .*(web.*exists|exists.*web|already)' "a container of that name is there"
on b rm -r /var/lib/lxc/web
on b ip link set br0 name bridge7
like "$(refusal a wherry ct send web b)" '^wherry: .*br0' "a bridge that is missing there"
on b sh -c 'printf "[bridges]\nbr0 = bridge7\n" >>/etc/wherry/wherry.conf'
on b ip link set bridge7 name br0
on b ip link add bridge7 type bridge
is "$(on a wherry --quiet ct send web b; on b sed -n 's/^lxc.net.0.link *= *//p' /var/lib/lxc/web/config)" bridge7 \
	"a bridge that has another name there"
# Back, to where it has its first name again.
printf '[bridges]\nbridge7 = br0\n' | on a tee -a /etc/wherry/wherry.conf >/dev/null
trust b a
on b wherry --quiet ct send web a
on b sed -i '/^br0 = /d' /etc/wherry/wherry.conf
# shellcheck disable=SC2016 # the node's shell
on b fallocate -l "$(on b sh -c 'echo $(($(stat -f -c %a*%S /var/lib/lxc) - 1000000))')" /var/lib/lxc/full
like "$(refusal a wherry ct send web b)" '^wherry: .*(space|full|free)' "not enough space there"
on b rm /var/lib/lxc/full
unharmed "not enough space"
on b sh -c 'truncate -s 64M /srv/ext4/few.img && mkfs.ext4 -q -N 64 /srv/ext4/few.img &&
	mkdir /srv/few && mount -o loop /srv/ext4/few.img /srv/few && wherry --quiet pool add few /srv/few'
like "$(refusal a wherry ct send web b --to-pool few)" '^wherry: .*inode' "not enough inodes there"
unharmed "not enough inodes"

# --- what reaches out of the container
on a sh -c 'cp /var/lib/lxc/web/config /root/config'
while read -r line; do
	on a sh -c "cp /root/config /var/lib/lxc/web/config; echo '$line' >>/var/lib/lxc/web/config"
	like "$(refusal a wherry ct send web b)" "^wherry: .*${line%% *}" "refused by name: $line"
done <<-'EOT'
	lxc.hook.pre-start = /bin/true
	lxc.hook.mount = /bin/true
	lxc.mount.entry = /etc srv/etc none bind,create=dir 0 0
	lxc.include = /root/more
	lxc.console.logfile = /etc/console
	lxc.rootfs.mount = /mnt
EOT
unharmed "configuration that reaches out"
