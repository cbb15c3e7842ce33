#include "convert/fixup_table.h"

#include <stddef.h>

#define B	 "[[:space:]]"
#define ON(init) (1u << (init))

const struct fixup_summary fixup_summaries[] = {
	{"fastboot", "take away the mark that OpenVZ left at each start"},
	{"mtab", "make /etc/mtab a link to what the kernel says"},
	{"fstab", "take OpenVZ's devices out of /etc/fstab"},
	{"quota", "take away the scripts of OpenVZ's quotas of users"},
	{"network", "take away venet0; addresses are set from outside"},
	{"resolver", "write the name servers of the configuration"},
	{"console", "a login on the console and on the terminals that LXC has"},
	{"power", "stop when LXC asks for it"},
	{"udev", "do not start udev, which has no devices to manage"},
	{"devices", "take away the device nodes that OpenVZ's templates have"},
	{"systemd", "take away OpenVZ's overrides of systemd's services"},
	{"openrc", "tell OpenRC that it runs under LXC"},
	{"selinux", "do not load a policy of SELinux"},
	{"klog", "do not read the kernel's log, which is the host's"},
	{"loginuid", "let sessions begin where the kernel keeps no login ids"},
	{"securetty", "let root log in on these terminals"},
	{NULL, NULL},
};

static const char power_upstart[] = "# Written by Wherry: LXC asks a container to stop by SIGPWR.\n"
				    "start on power-status-changed\n"
				    "task\n"
				    "exec /sbin/shutdown -h now \"stopped by the host\"\n";

static const char console_upstart[] = "# Written by Wherry.\n"
				      "start on stopped rc RUNLEVEL=[2345]\n"
				      "stop on runlevel [!2345]\n"
				      "respawn\n"
				      "exec /sbin/agetty 38400 console\n";

static const char getty_systemd[] = "# Written by Wherry: a container has no /dev/tty0.\n"
				    "[Unit]\n"
				    "ConditionPathExists=\n"
				    "ConditionPathExists=/dev/%I\n";

static const char dbus_systemd[] =
	"# Written by Wherry: it must not ask for less than it may have.\n"
	"[Service]\n"
	"OOMScoreAdjust=0\n";

static const char unmanaged[] = "# Written by Wherry: addresses are set by LXC.\n"
				"[keyfile]\n"
				"unmanaged-devices=interface-name:eth*\n";

/* clang-format off */
#define REMOVE(n, f, p)		{n, f, 0, 0, FIXUP_REMOVE, p}
#define LINES(n, f, i, p, a, re, arg) {n, f, i, 0, FIXUP_LINES, p, a, re, arg}

const struct fixup_row fixup_rows[] = {
	REMOVE("fastboot", 0, "fastboot"),
	{"mtab", .kind = FIXUP_CODE, .run = fix_mtab},

	LINES("fstab", 0, 0, "etc/fstab", FIX_COMMENT,
		"^" B "*(/dev/(simfs|ploop[0-9]+(p[0-9]+)?)|simfs)" B, NULL),
	LINES("fstab", FAMILY_REDHAT, ON(INIT_UPSTART) | ON(INIT_SYSV), "etc/fstab", FIX_COMMENT,
		"^" B "*(none|devpts|tmpfs)" B "+/dev/(pts|shm)" B, NULL),
	LINES("fstab", FAMILY_DEBIAN, ON(INIT_UPSTART), "lib/init/fstab", FIX_COMMENT,
		"^[^#]*" B "/(proc/sys/fs/binfmt_misc|sys/kernel/debug)" B, NULL),

	REMOVE("quota", 0, "etc/init.d/vzquota"),
	REMOVE("quota", FAMILY_REDHAT | FAMILY_SUSE, "etc/rc.d/init.d/vzquota"),
	REMOVE("quota", 0, "etc/rc0.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", 0, "etc/rc1.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", 0, "etc/rc2.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", 0, "etc/rc3.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", 0, "etc/rc4.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", 0, "etc/rc5.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", 0, "etc/rc6.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", 0, "etc/rcS.d/[SK][0-9][0-9]vzquota"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc0.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc1.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc2.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc3.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc4.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc5.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", FAMILY_REDHAT, "etc/rc.d/rc6.d/[SK][0-9][0-9]vz*"),
	REMOVE("quota", 0, "etc/systemd/system/vzquota.service"),
	REMOVE("quota", 0, "etc/systemd/system/multi-user.target.wants/vzquota.service"),

	{"network", FAMILY_DEBIAN | FAMILY_ALPINE, .kind = FIXUP_CODE, .run = fix_interfaces},
	REMOVE("network", FAMILY_REDHAT, "etc/sysconfig/network-scripts/ifcfg-venet0*"),
	REMOVE("network", FAMILY_REDHAT, "etc/sysconfig/network-scripts/route*-venet0*"),
	LINES("network", FAMILY_REDHAT, 0, "etc/sysconfig/network", FIX_DELETE,
		"^" B "*(GATEWAYDEV|IPV6_DEFAULTDEV)=[\"']?venet0", NULL),
	REMOVE("network", FAMILY_SUSE, "etc/sysconfig/network/ifcfg-venet0*"),
	REMOVE("network", FAMILY_SUSE, "etc/sysconfig/network/ifroute-venet0*"),
	REMOVE("network", FAMILY_ARCH, "etc/netctl/venet0*"),
	REMOVE("network", FAMILY_ARCH, "etc/network.d/venet0*"),
	LINES("network", FAMILY_GENTOO, 0, "etc/conf.d/net", FIX_DELETE,
		"^" B "*(config|routes|dns_servers)_venet0=", NULL),
	REMOVE("network", FAMILY_GENTOO, "etc/init.d/net.venet0"),
	REMOVE("network", FAMILY_GENTOO, "etc/runlevels/default/net.venet0"),
	REMOVE("network", FAMILY_VOID, "etc/runit/core-services/90-venet.sh"),
	REMOVE("network", 0, "etc/NetworkManager/system-connections/venet0*"),
	{"network", .kind = FIXUP_WRITE, .path = "etc/NetworkManager/conf.d/90-wherry.conf",
		.arg = unmanaged, .only_if = "etc/NetworkManager/NetworkManager.conf"},

	{"resolver", .kind = FIXUP_CODE, .run = fix_resolver},

	LINES("console", FAMILY_ALPINE | FAMILY_GENTOO, 0, "etc/inittab", FIX_WORD,
		"^[^#]*getty.*" B "tty0(" B "|$)", "tty0=console"),
	LINES("console", FAMILY_DEBIAN, ON(INIT_SYSV), "etc/inittab", FIX_COMMENT,
		"^[^#]*getty.*" B "tty0(" B "|$)", NULL),
	LINES("console", FAMILY_DEBIAN | FAMILY_SUSE | FAMILY_SLACKWARE, ON(INIT_SYSV), "etc/inittab",
		FIX_ADD, "^[^#]*getty.*" B "console(" B "|$)",
		"co:2345:respawn:/sbin/getty 38400 console"),
	{"console", FAMILY_REDHAT, ON(INIT_UPSTART), .kind = FIXUP_WRITE,
		.path = "etc/init/console.conf", .arg = console_upstart},
	{"console", FAMILY_REDHAT, ON(INIT_UPSTART), .kind = FIXUP_REMOVE, .path = "etc/init/tty2.conf"},
	{"console", FAMILY_REDHAT, ON(INIT_SYSTEMD), .below = 8, .kind = FIXUP_WRITE,
		.path = "etc/systemd/system/getty@.service.d/wherry.conf", .arg = getty_systemd},

	LINES("power", FAMILY_DEBIAN | FAMILY_REDHAT | FAMILY_SUSE | FAMILY_SLACKWARE, ON(INIT_SYSV),
		"etc/inittab", FIX_REPLACE, "^[^#:]*:[^:]*:powerwait:", "pf::powerwait:/sbin/halt"),
	LINES("power", FAMILY_DEBIAN | FAMILY_REDHAT | FAMILY_SUSE | FAMILY_SLACKWARE, ON(INIT_SYSV),
		"etc/inittab", FIX_ADD, "^[^#:]*:[^:]*:powerwait:", "pf::powerwait:/sbin/halt"),
	LINES("power", FAMILY_GENTOO, 0, "etc/inittab", FIX_ADD, "^[^#:]*:[^:]*:powerwait:",
		"pf::powerwait:/sbin/halt"),
	{"power", .inits = ON(INIT_UPSTART), .kind = FIXUP_WRITE,
		.path = "etc/init/power-status-changed.conf", .arg = power_upstart},

	{"udev", .inits = ON(INIT_SYSTEMD), .kind = FIXUP_LINK,
		.path = "etc/systemd/system/systemd-udev-trigger.service", .arg = "/dev/null"},
	{"udev", FAMILY_REDHAT, ON(INIT_SYSTEMD), .below = 8, .kind = FIXUP_LINK,
		.path = "etc/systemd/system/sys-kernel-config.mount", .arg = "/dev/null"},
	{"udev", FAMILY_REDHAT, ON(INIT_SYSTEMD), .below = 8, .kind = FIXUP_LINK,
		.path = "etc/systemd/system/sys-kernel-debug.mount", .arg = "/dev/null"},
	{"udev", FAMILY_REDHAT, .below = 7, .kind = FIXUP_LINES, .path = "etc/rc.d/rc.sysinit",
		.action = FIX_COMMENT, .pattern = "^" B "*/sbin/start_udev" B "*$"},

	REMOVE("devices", 0, "lib/udev/devices"),
	REMOVE("devices", 0, "etc/udev/devices"),
	REMOVE("devices", 0, "etc/tmpfiles.d/device-*.conf"),

	{"systemd", .inits = ON(INIT_SYSTEMD), .kind = FIXUP_CODE, .run = fix_overrides},
	{"systemd", FAMILY_DEBIAN, ON(INIT_SYSTEMD), .below = 9, .kind = FIXUP_WRITE,
		.path = "etc/systemd/system/dbus.service.d/wherry.conf", .arg = dbus_systemd},

	LINES("openrc", 0, ON(INIT_OPENRC), "etc/rc.conf", FIX_REPLACE, "^" B "*rc_sys=",
		"rc_sys=\"lxc\""),
	LINES("openrc", 0, ON(INIT_OPENRC), "etc/rc.conf", FIX_ADD, "^" B "*rc_sys=",
		"rc_sys=\"lxc\""),

	LINES("selinux", 0, 0, "etc/selinux/config", FIX_REPLACE,
		"^" B "*SELINUX=(enforcing|permissive)", "SELINUX=disabled"),

	LINES("klog", 0, 0, "etc/rsyslog.conf", FIX_COMMENT,
		"^" B "*(\\$ModLoad" B "+imklog|module\\(load=\"imklog\")", NULL),

	LINES("loginuid", 0, 0, "etc/pam.d/*", FIX_WORD,
		"^" B "*session" B "+required" B "+pam_loginuid\\.so", "required=optional"),

	LINES("securetty", 0, 0, "etc/securetty", FIX_ADD, "^console" B "*$", "console"),
	LINES("securetty", 0, 0, "etc/securetty", FIX_ADD, "^tty1" B "*$", "tty1"),
	LINES("securetty", 0, 0, "etc/securetty", FIX_ADD, "^tty2" B "*$", "tty2"),
	LINES("securetty", 0, 0, "etc/securetty", FIX_ADD, "^tty3" B "*$", "tty3"),
	LINES("securetty", 0, 0, "etc/securetty", FIX_ADD, "^tty4" B "*$", "tty4"),
	LINES("securetty", 0, 0, "etc/securetty", FIX_ADD, "^pts/0" B "*$", "pts/0"),
	{NULL},
};
/* clang-format on */
