#!/bin/bash
# Fix-ups of guests: what OpenVZ left in each kind of distribution is put right, the second run does nothing, everything can be
# taken back, and a hostile tree leads nowhere.
# shellcheck source-path=SCRIPTDIR source=../fs.sh disable=SC2016
. "$(dirname "$(readlink -f "$0")")/../fs.sh"
plan 79
wherry=${WHERRY:-$BUILD/src/cli/wherry}
unset WHERRY_RUN_DIR

fixup() {
	"$wherry" vz6 fixup "$@"
}

# put FILE LINE...: beneath $root.
put() {
	local path=$root/$1
	shift
	mkdir -p "$(dirname "$path")"
	printf '%s\n' "$@" >"$path"
}

state() { # of $root, but for the record and the times of folders
	(cd "$root" && find . -path ./var/lib/wherry-fixups -prune -o \( -type f -printf '%p %y %m %U:%G %n ' -exec sha256sum {} \; \) \
		-o -printf '%p %y %m %U:%G %l\n' | sort)
}

# begin NAME: a new tree.
begin() {
	root=$work/$1
	mkdir -p "$root/sbin" "$root/etc" "$root/var/lib" "$root/bin"
	put fastboot
	put etc/mtab '/dev/simfs / reiserfs rw,usrquota,grpquota 0 0'
	put etc/fstab '# a comment' '/dev/simfs / simfs defaults 0 0' 'server:/x /mnt nfs defaults 0 0' '/dev/ploop1p1 / ext4 defaults 0 0' \
		'tmpfs /tmp tmpfs size=10m 0 0'
	chmod 640 "$root/etc/fstab"
	chown 12:34 "$root/etc/fstab"
	put etc/resolv.conf 'nameserver 192.0.2.1'
}

# finish NAME: run, run again, take back.
finish() {
	local before after
	before=$(state)
	is "$(fixup --dry-run "$root" | grep -c '^  ')" "$(fixup "$root" | grep -c '^  ')" "$1: what is done is what was said"
	after=$(state)
	[ "$before" != "$after" ] || diag "nothing has changed"
	like "$(fixup "$root")" 'Nothing to change' "$1: the second run has nothing to do"
	is "$(state)" "$after" "$1: and does nothing"
}

back() { # NAME BEFORE
	ok "$1: can be taken back" fixup --revert "$root"
	is "$(state)" "$2" "$1: everything is as it was"
	ok "$1: no record is left" [ ! -e "$root/var/lib/wherry-fixups" ]
}

# What is none of our business.
like "$(fixup / 2>&1)" 'root of this running system' "the running system is refused"
like "$(fixup --force /proc/self/root 2>&1)" 'root of this running system' "by another name too, whoever forces it"
mkdir -p "$work/plain/etc" "$work/plain/sbin"
like "$(fixup "$work/plain" 2>&1)" 'no trace of OpenVZ' "a tree without a trace of OpenVZ is refused"
is "$(find "$work/plain" | wc -l)" 3 "and left alone"
ok "unless it is forced" fixup --force "$work/plain"

has() { # FILE LINE DESCRIPTION
	ok "$3" grep -qxF -e "$2" "$root/$1"
}

hasnt() { # FILE TEXT DESCRIPTION
	ok "$3" sh -c '! grep -qF -e "$2" "$1"' sh "$root/$1" "$2"
}

# --- Debian with sysvinit
begin debian
put etc/debian_version 7.11
put etc/inittab 'id:2:initdefault:' '1:2345:respawn:/sbin/getty 38400 tty1' '0:2345:respawn:/sbin/getty 38400 tty0' 'pf::powerwait:/etc/init.d/powerfail start'
put etc/init.d/vzquota '#!/bin/sh'
mkdir -p "$root/etc/rc6.d" "$root/lib/udev/devices"
ln -s ../init.d/vzquota "$root/etc/rc6.d/S10vzquota"
mknod "$root/lib/udev/devices/console" c 5 1
put etc/network/interfaces '# This configuration file is auto-generated.' '# Warning: your changes will be overwritten by vzctl' 'auto lo venet0' \
	'iface lo inet loopback' '' 'iface venet0 inet manual' '	up ifconfig venet0 up' '	up route add default dev venet0' \
	'iface venet0 inet6 manual' '	up x' '' 'auto venet0:0' 'iface venet0:0 inet static' '	address 192.0.2.7' \
	'# mine' 'auto eth1' 'iface eth1 inet dhcp'
put etc/pam.d/sshd 'session    required     pam_loginuid.so' 'session    required     pam_unix.so'
put etc/rsyslog.conf '$ModLoad imuxsock' '$ModLoad imklog'
put etc/securetty tty1 tty2
put etc/firewall.sh 'iptables -A INPUT -i venet0 -j ACCEPT'
mkdir -p "$root/usr/local/cpanel"
before=$(state)
finish debian
is "$(readlink "$root/etc/mtab")" /proc/self/mounts "mtab is a link"
has etc/fstab '#/dev/simfs / simfs defaults 0 0' "simfs is out of fstab"
has etc/fstab '#/dev/ploop1p1 / ext4 defaults 0 0' "ploop, too"
has etc/fstab 'tmpfs /tmp tmpfs size=10m 0 0' "what is the user's stays"
is "$(stat -c '%a %u:%g' "$root/etc/fstab")" "640 12:34" "mode and owner stay"
ok "the scripts of quotas are gone" [ ! -e "$root/etc/init.d/vzquota" ]
ok "and their links" [ ! -L "$root/etc/rc6.d/S10vzquota" ]
hasnt etc/network/interfaces venet0 "no venet0 in interfaces"
has etc/network/interfaces 'auto lo' "lo stays"
has etc/network/interfaces 'iface eth1 inet dhcp' "and another interface"
hasnt etc/network/interfaces 192.0.2.7 "nothing of a stanza is left"
has etc/network/interfaces '# mine' "a comment of the user's is"
has etc/inittab 'co:2345:respawn:/sbin/getty 38400 console' "a login on the console"
has etc/inittab '#0:2345:respawn:/sbin/getty 38400 tty0' "none on tty0"
has etc/inittab 'pf::powerwait:/sbin/halt' "it stops when asked to"
has etc/pam.d/sshd 'session    optional     pam_loginuid.so' "sessions begin without login ids"
has etc/pam.d/sshd 'session    required     pam_unix.so' "the rest is as strict as before"
has etc/rsyslog.conf '#$ModLoad imklog' "the kernel's log is not read"
ok "device nodes are gone" [ ! -e "$root/lib/udev/devices" ]
like "$(fixup --dry-run "$root")" '/etc/firewall.sh' "venet0 in a script is told"
like "$(fixup --dry-run "$root")" 'cPanel' "a panel is told"
like "$(fixup --dry-run "$root")" 'NFS' "mounts by NFS are told"
is "$(fixup --dry-run --json "$root" | python3 -c 'import json,sys; g = json.load(sys.stdin)["guest"]; print(g["id"], g["version"], g["init"])')" \
	"debian 7.11 sysvinit" "what it is"
back debian "$before"

# --- CentOS with upstart
begin centos6
put etc/redhat-release 'CentOS release 6.10 (Final)'
put etc/init/rc.conf x
put etc/init/tty2.conf x
put etc/rc.d/rc.sysinit '# start udev' '/sbin/start_udev' 'echo done'
put etc/sysconfig/network 'NETWORKING="yes"' 'GATEWAYDEV="venet0"' 'IPV6_DEFAULTDEV="venet0"' 'HOSTNAME=x'
put etc/sysconfig/network-scripts/ifcfg-venet0 DEVICE=venet0
put etc/sysconfig/network-scripts/ifcfg-venet0:0 DEVICE=venet0:0
put etc/sysconfig/network-scripts/ifcfg-lo DEVICE=lo
put etc/selinux/config 'SELINUX=enforcing' 'SELINUXTYPE=targeted'
before=$(state)
finish centos6
has etc/rc.d/rc.sysinit '#/sbin/start_udev' "udev is not started"
is "$(cat "$root/etc/sysconfig/network")" $'NETWORKING="yes"\nHOSTNAME=x' "no gateway through venet0"
is "$(ls "$root/etc/sysconfig/network-scripts")" ifcfg-lo "no interface venet0"
ok "it stops when asked to" grep -q power-status-changed "$root/etc/init/power-status-changed.conf"
has etc/selinux/config SELINUX=disabled "no policy is loaded"
back centos6 "$before"

# --- CentOS 7: systemd too old for version 2 of control groups
begin centos7
put etc/os-release 'ID="centos"' 'VERSION_ID="7"'
put usr/lib/systemd/systemd x
put etc/systemd/system/systemd-journald.service.d/override.conf '[Service]' 'SystemCallFilter=' 'MemoryDenyWriteExecute=no'
put etc/systemd/system/systemd-logind.service.d/override.conf '[Service]' 'Restart=no'
put etc/NetworkManager/NetworkManager.conf '[main]'
before=$(state)
finish centos7
is "$(readlink "$root/etc/systemd/system/systemd-udev-trigger.service")" /dev/null "udev's trigger is masked"
ok "a getty without /dev/tty0" [ -e "$root/etc/systemd/system/getty@.service.d/wherry.conf" ]
ok "an override of OpenVZ's is gone" [ ! -e "$root/etc/systemd/system/systemd-journald.service.d/override.conf" ]
ok "one of the user's stays" [ -e "$root/etc/systemd/system/systemd-logind.service.d/override.conf" ]
like "$(fixup --dry-run "$root")" 'systemd 219 cannot boot' "its systemd is too old, which is told"
back centos7 "$before"

# --- Alpine, Gentoo
begin alpine
put etc/alpine-release 3.8.0
put etc/runlevels/x x
put etc/rc.conf '#rc_sys=""' 'rc_sys="openvz"'
put etc/inittab '::sysinit:/sbin/openrc sysinit' 'tty0::respawn:/sbin/getty 38400 tty0'
before=$(state)
finish alpine
has etc/inittab 'console::respawn:/sbin/getty 38400 console' "a login on the console"
has etc/rc.conf 'rc_sys="lxc"' "OpenRC knows where it runs"
like "$(fixup --dry-run "$root")" 'lxc.signal.halt = SIGUSR2' "how it is stopped"
back alpine "$before"

# --- choices
begin choices
put etc/debian_version 9
put etc/vz.conf 'NAMESERVER="192.0.2.53 2001:db8::53"' 'SEARCHDOMAIN="example.org"'
fixup --without mtab,fstab --config "$root/etc/vz.conf" "$root" >/dev/null
ok "what is left out is left" grep -q '^/dev/simfs' "$root/etc/mtab" "$root/etc/fstab"
is "$(cat "$root/etc/resolv.conf")" $'search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53' "name servers of the configuration"
like "$(fixup --without nonsense "$root" 2>&1 || true)" 'no fix-up "nonsense"' "an unknown name"
echo 'nameserver 203.0.113.1' >"$root/etc/resolv.conf"
status=0
said=$(fixup --revert "$root" 2>&1) || status=$?
is "$status" 6 "a file that was changed since is told"
like "$said" 'resolv.conf: it was changed since' "by its name"
has etc/resolv.conf 'nameserver 203.0.113.1' "and is left as it is"
ok "the others are back" [ -e "$root/fastboot" ]

# --- a hostile tree: nothing outside it is read or written
begin hostile
put etc/debian_version 7
outside=$work/outside
mkdir -p "$outside/network" "$outside/init.d"
echo '/dev/simfs / simfs defaults 0 0' >"$outside/fstab"
echo 'auto venet0' >"$outside/network/interfaces"
echo mine >"$outside/init.d/vzquota"
echo '/dev/simfs' >"$outside/mtab"
rm "$root/etc/fstab" "$root/etc/mtab" "$root/etc/resolv.conf" "$root/fastboot"
ln -s "$outside/fstab" "$root/etc/fstab"
ln -s ../../outside/network "$root/etc/network"
ln -s "$outside/init.d" "$root/etc/init.d"
ln "$outside/mtab" "$root/etc/mtab"
ln -s "$outside/resolv.conf" "$root/etc/resolv.conf"
mkfifo "$root/etc/inittab"
mkdir "$root/fastboot"
put fastboot/file x
ln -s "$outside" "$root/lib"
mkdir -p "$root/etc/udev"
ln -s "$outside" "$root/etc/udev/devices"
put etc/securetty "$(head -c 5000 /dev/zero | tr '\0' x)" console
mkdir -p "$root/var/lib"
sum=$(cd "$outside" && find . -printf '%p %y %n\n' -type f -exec sha256sum {} + | sort)
ok "a hostile tree" timeout 20 "$wherry" vz6 fixup --config "$work/choices/etc/vz.conf" "$root"
echo '/dev/simfs' >"$work/mtab"
is "$(cd "$outside" && find . -printf '%p %y %n\n' -type f -exec sha256sum {} + | sort | sed 's/mtab f 3/mtab f 2/')" "$sum" "nothing outside has changed"
like "$(fixup --config "$work/choices/etc/vz.conf" "$root")" 'it is a link' "a resolv.conf that is a link is told"
ok "a folder is put back" fixup --revert "$root"
is "$(cat "$root/fastboot/file")" x "with what was in it"
rm -rf "$root/var/lib"
ln -s "$outside" "$root/var/lib"
rm -f "$root/etc/securetty"
fixup "$root" >/dev/null 2>&1 || true
is "$(ls -A "$outside")" "$(printf '%s\n' fstab init.d mtab network)" "a record behind a link is not written"
like "$(fixup --force "$work/outside" 2>&1 || true)" 'no system in that folder' "a folder that is no system"
