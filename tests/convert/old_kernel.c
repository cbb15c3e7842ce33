/*
 * old-kernel CMD... - runs CMD as if this kernel were Linux 2.6.32: what is younger answers as it
 * does there. "old-kernel" alone prints the list. For x86-64, which is what OpenVZ nodes are.
 *
 * A system call that such a kernel lacks is ENOSYS. Numbers were given out in order:
 * perf_event_open (298, 2.6.31) is the last that it has, so everything above is refused, listed
 * here or not. The versions are those of syscalls(2) of man-pages 6.03; what that lacks:
 * mount_setattr(2) itself for 5.12, the kernel's own history for getcpu (x86-64 got a number for it
 * with 3.1) and for the three after 5.14.
 *
 * Flags that such a kernel does not know are EINVAL here. There, open() takes no notice of O_PATH
 * and O_TMPFILE, which is worse: a program that must do without them has to pass here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST_KNOWN   298
#define EMPTY_PATH   0x1000
#define OPEN_YOUNG   (O_PATH | (O_TMPFILE & ~O_DIRECTORY)) /* 2.6.39, 3.11 */
#define PRCTL_YOUNG  36					   /* PR_SET_CHILD_SUBREAPER, 3.4 */
#define WHENCE_YOUNG 3					   /* SEEK_DATA, 3.1 */
#define FCNTL_YOUNG  1031 /* F_SETPIPE_SZ, 2.6.35; then seals, 3.17 */

static const struct {
	int nr;
	const char *since;
} young[] = {
	{SYS_recvmmsg, "2.6.33"},
	{SYS_fanotify_init, "2.6.37"},
	{SYS_fanotify_mark, "2.6.37"},
	{SYS_prlimit64, "2.6.36"},
	{SYS_name_to_handle_at, "2.6.39"},
	{SYS_open_by_handle_at, "2.6.39"},
	{SYS_clock_adjtime, "2.6.39"},
	{SYS_syncfs, "2.6.39"},
	{SYS_sendmmsg, "3.0"},
	{SYS_setns, "3.0"},
	{SYS_getcpu, "3.1"},
	{SYS_process_vm_readv, "3.2"},
	{SYS_process_vm_writev, "3.2"},
	{SYS_kcmp, "3.5"},
	{SYS_finit_module, "3.8"},
	{SYS_sched_setattr, "3.14"},
	{SYS_sched_getattr, "3.14"},
	{SYS_renameat2, "3.15"},
	{SYS_seccomp, "3.17"},
	{SYS_getrandom, "3.17"},
	{SYS_memfd_create, "3.17"},
	{SYS_kexec_file_load, "3.17"},
	{SYS_bpf, "3.18"},
	{SYS_execveat, "3.19"},
	{SYS_userfaultfd, "4.3"},
	{SYS_membarrier, "3.17"},
	{SYS_mlock2, "4.4"},
	{SYS_copy_file_range, "4.5"},
	{SYS_preadv2, "4.6"},
	{SYS_pwritev2, "4.6"},
	{SYS_pkey_mprotect, "4.8"},
	{SYS_pkey_alloc, "4.8"},
	{SYS_pkey_free, "4.8"},
	{SYS_statx, "4.11"},
	{SYS_io_pgetevents, "4.18"},
	{SYS_rseq, "4.18"},
	{SYS_pidfd_send_signal, "5.1"},
	{SYS_io_uring_setup, "5.1"},
	{SYS_io_uring_enter, "5.1"},
	{SYS_io_uring_register, "5.1"},
	{SYS_open_tree, "5.2"},
	{SYS_move_mount, "5.2"},
	{SYS_fsopen, "5.2"},
	{SYS_fsconfig, "5.2"},
	{SYS_fsmount, "5.2"},
	{SYS_fspick, "5.2"},
	{SYS_pidfd_open, "5.3"},
	{SYS_clone3, "5.3"},
	{SYS_close_range, "5.9"},
	{SYS_openat2, "5.6"},
	{SYS_pidfd_getfd, "5.6"},
	{SYS_faccessat2, "5.8"},
	{SYS_process_madvise, "5.10"},
	{SYS_epoll_pwait2, "5.11"},
	{SYS_mount_setattr, "5.12"},
	{SYS_quotactl_fd, "5.14"},
	{SYS_landlock_create_ruleset, "5.13"},
	{SYS_landlock_add_rule, "5.13"},
	{SYS_landlock_restrict_self, "5.13"},
	{SYS_memfd_secret, "5.14"},
	{SYS_process_mrelease, "5.15"},
	{SYS_futex_waitv, "5.16"},
	{SYS_set_mempolicy_home_node, "5.17"},
};

#define ARG(n)	       offsetof(struct seccomp_data, args[n])
#define LOAD(at)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define ANSWER(errno_) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errno_))
#define ALLOW	       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* If it is that call and its argument n has any of these bits: that errno. The number is loaded,
 * and is so again after. */
#define REFUSE(op, call, n, k, errno_)                                                             \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4), LOAD(ARG(n)),                             \
		BPF_JUMP(BPF_JMP | (op) | BPF_K, k, 0, 1), ANSWER(errno_),                         \
		LOAD(offsetof(struct seccomp_data, nr))

static struct sock_filter filter[] = {
	LOAD(offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1),
	ANSWER(ENOSYS),
	REFUSE(BPF_JSET, SYS_open, 1, OPEN_YOUNG, EINVAL),
	REFUSE(BPF_JSET, SYS_openat, 2, OPEN_YOUNG, EINVAL),
	REFUSE(BPF_JSET, SYS_newfstatat, 3, EMPTY_PATH, EINVAL),
	REFUSE(BPF_JSET, SYS_fchownat, 4, EMPTY_PATH, EINVAL),
	REFUSE(BPF_JSET, SYS_linkat, 4, EMPTY_PATH, EINVAL),
	REFUSE(BPF_JSET, SYS_utimensat, 3, EMPTY_PATH, EINVAL),
	REFUSE(BPF_JGE, SYS_lseek, 2, WHENCE_YOUNG, EINVAL),
	REFUSE(BPF_JSET, SYS_fallocate, 1, ~1u, EOPNOTSUPP), /* holes, 2.6.38 */
	REFUSE(BPF_JGE, SYS_fcntl, 1, FCNTL_YOUNG, EINVAL),
	REFUSE(BPF_JGE, SYS_prctl, 0, PRCTL_YOUNG, EINVAL),
	ALLOW,
};

int main(int argc, char **argv)
{
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (argc > 2 && strcmp(argv[1], "--calls") == 0) {
		argv++;
		program.len = 3;
		filter[program.len++] = (struct sock_filter)ALLOW;
	}
	if (argc < 2) {
		for (size_t i = 0; i < sizeof(young) / sizeof(young[0]); i++)
			printf("%d %s\n", young[i].nr, young[i].since);
		return 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		fprintf(stderr, "old-kernel: seccomp: %s\n", strerror(errno));
		return 125;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "old-kernel: %s: %s\n", argv[1], strerror(errno));
	return 126;
}
