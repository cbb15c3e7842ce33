#include "unit.h"

#include "runtime/lxc_option.h"

static const struct {
	const char *key, *value;
	bool harmless;
} rows[] = {
	{"lxc.tty.max", "4", true},
	{"lxc.tty.max", "65", false},
	{"lxc.tty.max", "4;x", false},
	{"lxc.tty.dir", "lxc", true},
	{"lxc.tty.dir", "", true},
	{"lxc.tty.dir", "../x", false},
	{"lxc.tty.dirx", "lxc", false},
	{"lxc.pty.max", "1024", true},
	{"lxc.console.path", "none", true},
	{"lxc.console.path", "/dev/tty1", false},
	{"lxc.console.logfile", "none", false},
	{"lxc.console.buffer.size", "auto", true},
	{"lxc.console.buffer.size", "1M", true},
	{"lxc.console.buffer.size", "1G", false},
	{"lxc.signal.halt", "SIGRTMIN+3", true},
	{"lxc.signal.halt", "37", true},
	{"lxc.signal.halt", "x y", false},
	{"lxc.init.cmd", "/sbin/init --x", true},
	{"lxc.environment", "A=B", true},
	{"lxc.environment", "A=", true},
	{"lxc.environment", "A", false},
	{"lxc.environment", "=B", false},
	{"lxc.autodev", "1", true},
	{"lxc.autodev", "2", false},
	{"lxc.cap.drop", "sys_module mac_admin", true},
	{"lxc.cap.drop", "", false},
	{"lxc.cap.keep", "chown kill", true},
	{"lxc.cap.keep", "none", true},
	{"lxc.cap.keep", "chown sys_rawio", false},
	{"lxc.cap.keep", " ", false},
	{"lxc.apparmor.profile", "unconfined", true},
	{"lxc.apparmor.profile", "generated", true},
	{"lxc.apparmor.profile", "lxc-container-default-with-nesting", true},
	{"lxc.apparmor.profile", "lxc-container-default/../x", false},
	{"lxc.apparmor.profile", "unchanged", false},
	{"lxc.apparmor.profile", "", false},
	{"lxc.apparmor.raw", "mount,", false},
	{"lxc.seccomp.profile", "/usr/share/lxc/config/common.seccomp", true},
	{"lxc.seccomp.profile", "/usr/share/lxc/config/x/../y", false},
	{"lxc.seccomp.profile", "/usr/share/lxc/config/", false},
	{"lxc.seccomp.profile", "/etc/x", false},
	{"lxc.seccomp.profile", "none", false},
	{"lxc.mount.auto", "proc:mixed sys:ro cgroup:rw:force", true},
	{"lxc.mount.auto", "", true},
	{"lxc.mount.auto", "cgroup-full", false},
	{"lxc.mount.auto", "proc shmounts:/x", false},
	{"lxc.mount.auto", "dev", false},
	{"lxc.mount.entry", "proc proc proc nodev,noexec,nosuid 0 0", true},
	{"lxc.mount.entry", "tmpfs tmp tmpfs size=10%,mode=1777,create=dir", true},
	{"lxc.mount.entry", "x dev/mqueue mqueue rw,relatime,create=dir,optional 0 0", true},
	{"lxc.mount.entry", "/dev/fuse dev/fuse none bind,create=file,optional 0 0", true},
	{"lxc.mount.entry",
		"/sys/fs/fuse/connections sys/fs/fuse/connections none bind,optional 0 0", true},
	{"lxc.mount.entry", "/dev/fuse dev/fuse none bind,dev 0 0", false},
	{"lxc.mount.entry", "/dev/kmsg dev/kmsg none bind 0 0", false},
	{"lxc.mount.entry", "/dev/../etc etc none bind 0 0", false},
	{"lxc.mount.entry", "/srv/x srv none bind 0 0", false},
	{"lxc.mount.entry", "/srv/x srv none rbind 0 0", false},
	{"lxc.mount.entry", "/srv/x srv tmpfs binding 0 0", false},
	{"lxc.mount.entry", "/srv/x srv tmpfs size=1,bind=1 0 0", false},
	{"lxc.mount.entry", "proc proc proc remount 0 0", false},
	{"lxc.mount.entry", "proc proc proc size=relative 0 0", false},
	{"lxc.mount.entry", "proc proc proc idmap=container 0 0", false},
	{"lxc.mount.entry", "proc proc proc rw 0 0 0", false},
	{"lxc.mount.entry", "proc proc proc", false},
	{"lxc.mount.entry", "proc /proc proc rw 0 0", false},
	{"lxc.mount.entry", "debugfs sys/kernel/debug debugfs rw 0 0", false},
	{"lxc.mount.entry", "overlay srv overlay lowerdir=/etc 0 0", false},
	{"lxc.cgroup.devices.allow", "c 1:3 rwm", true},
	{"lxc.cgroup2.devices.allow", "c 10:200 rwm", true},
	{"lxc.cgroup.devices.allow", "b *:* m", true},
	{"lxc.cgroup.devices.allow", "b 8:0 rm", false},
	{"lxc.cgroup.devices.allow", "c *:* rwm", false},
	{"lxc.cgroup.devices.allow", "c 1:1 r", false},
	{"lxc.cgroup.devices.allow", "a", false},
	{"lxc.cgroup.devices.allow", "/dev/sda rwm", false},
	{"lxc.cgroup.devices.allow", "", false},
	{"lxc.cgroup2.devices.deny", "a", true},
	{"lxc.cgroup2.devices.deny", "", false},
	{"lxc.cgroup.memory.swappiness", "10", true},
	{"lxc.cgroup2.memory.high", "1G", true},
	{"lxc.cgroup.memory.high", "1G", false},
	{"lxc.cgroup2.memory.high..", "1G", false},
	{"lxc.cgroup2.io.max", "8:0 rbps=1", false},
	{"lxc.cgroup.cpu.rt_runtime_us", "950000", false},
	{"lxc.cgroup.dir", "x", false},
	{"lxc.cgroup.dir.monitor", "x", false},
	{"lxc.cgroup.relative", "1", false},
	{"lxc.cgroup.relative", "0", true},
	{"lxc.sysctl.net.ipv4.ip_forward", "1", true},
	{"lxc.sysctl.kernel.shmmax", "1", true},
	{"lxc.sysctl.kernel.sem", "1 2 3 4", true},
	{"lxc.sysctl.kernel.semx", "1", false},
	{"lxc.sysctl.kernel.core_pattern", "|/x", false},
	{"lxc.sysctl.vm.swappiness", "1", false},
	{"lxc.proc.oom_score_adj", "300", true},
	{"lxc.proc.oom_score_adj", "-1", false},
	{"lxc.proc.attr.current", "x", false},
	{"lxc.prlimit.nofile", "1024:4096", true},
	{"lxc.prlimit.nofile", "unlimited", true},
	{"lxc.net.0.veth.pair", "veth-web", true},
	{"lxc.net.0.veth.pair", "wg0", false},
	{"lxc.net.0.veth.pair", "veth/../x", false},
	{"lxc.net.12.macvlan.mode", "bridge", true},
	{"lxc.net.12.macvlan.mode", "passthru", false},
	{"lxc.net.0.veth.ipv4.route", "0.0.0.0/0", false},
	{"lxc.net.0.script.up", "/bin/true", false},
	{"lxc.net.0.script.up", "", true},
	{"lxc.net.0.type", "veth", false},
	{"lxc.net.0.link", "br0", false},
	{"lxc.net", "", false},
	{"lxc.net.#.veth.pair", "veth0", false},
	{"lxc.group", "onboot", true},
	{"lxc.ephemeral", "0", true},
	{"lxc.ephemeral", "1", false},
	{"lxc.monitor.signal.pdeath", "SIGKILL", true},
	{"lxc.monitor.signal.pdeath", "0", false},
	{"lxc.keyring.session", "0", false},
	{"lxc.hook.version", "1", true},
	{"lxc.hook.mount", "/bin/true", false},
	{"lxc.hook.pre-start", WHERRY_LIBDIR "/lxc-pre-start", false},
	{"lxc.hook", "", true},
	{"lxc.log.level", "DEBUG", true},
	{"lxc.log.file", "/x", false},
	{"lxc.include", "/usr/share/lxc/config/common.conf", false},
	{"lxc.rootfs.path", "dir:/", false},
	{"lxc.rootfs.options", "idmap=container", false},
	{"lxc.rootfs.managed", "0", true},
	{"lxc.idmap", "u 0 0 1", false},
	{"lxc.namespace.clone", "mnt", false},
	{"lxc.start.auto", "1", false},
	{"lxc.something", "1", false},
	{"lxc", "", false},
	{"", "", false},
	{"limit", "1", false},
};

static void test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *row = xasprintf("%s = %s", rows[i].key, rows[i].value);
		const char *reason = "unset";

		assert_row(lxc_option_harmless(rows[i].key, rows[i].value, &reason) ==
				   rows[i].harmless,
			row);
		assert_row(rows[i].harmless == !reason, row);
		assert_row(!reason || reason[0], row);
	}
}

static void test_owned(void **state)
{
	assert_true(lxc_option_owned("lxc.rootfs.path"));
	assert_true(lxc_option_owned("lxc.idmap"));
	assert_false(lxc_option_owned("lxc.hook.mount"));
}

static void test_rename(void **state)
{
	_cleanup_free_ char *limit = lxc_option_rename("lxc.limit.nofile");
	_cleanup_free_ char *name = lxc_option_rename("lxc.utsname");

	assert_string_equal(limit, "lxc.prlimit.nofile");
	assert_string_equal(name, "lxc.uts.name");
	assert_null(lxc_option_rename("lxc.uts.name"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_owned),
		cmocka_unit_test(test_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
