/*
 * The system calls that an action may make. What is not named here fails with EPERM (with ENOSYS where a C library then falls back
 * to what is named); a call by another architecture's
 * numbers kills.
 *
 * Sockets: none can be made, connected or bound. A connected pair of Unix streams is allowed, since Node and others talk to their
 * children over one; datagram pairs are not, because they can send to any address. With a network there are TCP and UDP sockets of the
 * old Internet protocol, in a namespace that no packet leaves; a connect is held for whoever decides it, and never goes on by itself.
 * An open that is held may go on by itself, since Landlock and the mounts deny whatever is not granted.
 * The filter is a binary tree over the intervals of allowed numbers, so that each call costs about seven comparisons.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define X32_BIT 0x40000000u
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static const unsigned allowed[] = {
    /* memory; mmap is looked into below */
    SYS_brk, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_mincore, SYS_msync, SYS_mlock, SYS_munlock, SYS_membarrier,
    SYS_rt_sigreturn,

    /* files that are open */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2,
    SYS_lseek, SYS_close, NR_close_range, SYS_dup, SYS_dup3, SYS_fcntl, SYS_flock, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
    SYS_fallocate, SYS_fadvise64, SYS_sendfile, SYS_splice, SYS_tee, SYS_copy_file_range, SYS_sync_file_range, SYS_readahead,
    SYS_fstat, SYS_fstatfs, SYS_getdents64, SYS_pipe2, SYS_fgetxattr, SYS_flistxattr,

    /* files by name: Landlock and the mounts decide which */
    SYS_faccessat, NR_faccessat2, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_readlinkat, SYS_getcwd, SYS_chdir, SYS_fchdir,
    SYS_truncate, SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_utimensat, SYS_umask,
    SYS_getxattr, SYS_lgetxattr, SYS_listxattr, SYS_llistxattr, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch,

    /* waiting */
    SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, NR_epoll_pwait2, SYS_eventfd2, SYS_signalfd4,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex,
    NR_futex_waitv, SYS_set_robust_list, SYS_get_robust_list, SYS_restart_syscall,

    /* time and chance */
    SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_times, SYS_getitimer, SYS_setitimer, SYS_timer_create,
    SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun, SYS_timer_delete, SYS_getrandom,

    /* processes of its own; clone and prctl are looked into below */
    SYS_execve, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
    SYS_sigaltstack, SYS_set_tid_address, SYS_sched_yield, NR_pidfd_send_signal,
    NR_pidfd_open, SYS_setpgid, SYS_getpgid, SYS_setsid, SYS_getsid, SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid,
    SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_capget, SYS_getrusage, SYS_getrlimit,
    SYS_setrlimit, SYS_getpriority, SYS_setpriority, SYS_ioprio_get, SYS_sched_getaffinity, SYS_sched_setaffinity,
    SYS_sched_getparam, SYS_sched_getscheduler, SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_sched_getattr,
    SYS_getcpu, SYS_uname, SYS_sysinfo,

    /* the streams it was given, and connected pairs; socketpair itself is looked into below */
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_shutdown, SYS_getsockname, SYS_getpeername,
    SYS_getsockopt,

#ifdef SYS_rseq
    SYS_rseq,
#endif
#ifdef __x86_64__
    /* the older names of the same things */
    SYS_arch_prctl, SYS_stat, SYS_lstat, SYS_poll, SYS_access, SYS_pipe, SYS_select, SYS_dup2, SYS_pause, SYS_alarm, SYS_getdents,
    SYS_rename, SYS_mkdir, SYS_rmdir, SYS_link, SYS_unlink, SYS_symlink, SYS_readlink, SYS_utime, SYS_utimes, SYS_futimesat,
    SYS_getpgrp, SYS_time, SYS_fork, SYS_vfork, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd, SYS_inotify_init,
#endif
};

/* Of these, what a policy can take away. A new process is a clone without CLONE_THREAD: threads are none. Ends at a 0, which is a read. */
static const unsigned groups[CALL_GROUPS][16] = {
#ifdef __x86_64__
    [CALLS_PROCESSES] = {SYS_fork, SYS_vfork, NR_pidfd_open, SYS_setpriority, SYS_sched_setaffinity},
    [CALLS_SIGNALS] = {SYS_kill, SYS_tkill, SYS_tgkill, NR_pidfd_send_signal, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo},
    [CALLS_NAMES] = {SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_mkdir, SYS_unlink, SYS_rmdir,
                     SYS_rename, SYS_link, SYS_symlink},
    [CALLS_MODES] = {SYS_fchmod, SYS_fchmodat, SYS_chmod},
    [CALLS_TIMES] = {SYS_utimensat, SYS_utime, SYS_utimes, SYS_futimesat},
    [CALLS_WATCHING] = {SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_inotify_init},
#else
    [CALLS_PROCESSES] = {NR_pidfd_open, SYS_setpriority, SYS_sched_setaffinity},
    [CALLS_SIGNALS] = {SYS_kill, SYS_tkill, SYS_tgkill, NR_pidfd_send_signal, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo},
    [CALLS_NAMES] = {SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat},
    [CALLS_MODES] = {SYS_fchmod, SYS_fchmodat},
    [CALLS_TIMES] = {SYS_utimensat},
    [CALLS_WATCHING] = {SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch},
#endif
    [CALLS_SOCKETS] = {SYS_socketpair, SYS_socket, SYS_connect},
};

/* Calls that depend on an argument: denied where (argument & mask) equals one of the values, or unless it does. */
enum verdict { DENY_IF, ALLOW_IF };
struct look {
    unsigned number, argument, mask;
    enum verdict verdict;
    int error;
    unsigned count, values[16];
};

#define NAMESPACES \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define SET_ID (S_ISUID | S_ISGID)

static const struct look looks[] = {
    {SYS_clone, 0, NAMESPACES, ALLOW_IF, EPERM, 1, {0}},
    /* Its flags lie in memory, where no filter sees them: every C library falls back to clone. */
    {NR_clone3, 0, 0, DENY_IF, ENOSYS, 1, {0}},
    {NR_openat2, 0, 0, DENY_IF, ENOSYS, 1, {0}},
    {NR_fchmodat2, 0, 0, DENY_IF, ENOSYS, 1, {0}},
    /* Memory that is shared and has no file is memory that no limit counts. */
    {SYS_mmap, 3, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, DENY_IF, EPERM, 1, {MAP_SHARED | MAP_ANONYMOUS}},
    /* No file of the person's may be left behind that runs as that person for others. */
    {SYS_fchmod, 1, SET_ID, ALLOW_IF, EPERM, 1, {0}},
    {SYS_fchmodat, 2, SET_ID, ALLOW_IF, EPERM, 1, {0}},
#ifdef __x86_64__
    {SYS_chmod, 1, SET_ID, ALLOW_IF, EPERM, 1, {0}},
    {SYS_creat, 1, SET_ID, ALLOW_IF, EPERM, 1, {0}},
#endif
    {SYS_prctl, 0, ~0u, ALLOW_IF, EPERM, 8,
     {PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ,
      0x53564d41 /* PR_SET_VMA: names of memory areas */}},
    {SYS_prlimit64, 0, ~0u, ALLOW_IF, EPERM, 1, {0 /* its own */}},
    {SYS_ioctl, 1, ~0u, ALLOW_IF, ENOTTY, 6, {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX}},
};
enum { LOOKS = sizeof looks / sizeof *looks };

/* A send that connects first is a connect that nobody holds. */
static const struct look network_looks[] = {
    {SYS_sendto, 3, MSG_FASTOPEN, ALLOW_IF, EPERM, 1, {0}},
    {SYS_sendmsg, 2, MSG_FASTOPEN, ALLOW_IF, EPERM, 1, {0}},
    {SYS_sendmmsg, 3, MSG_FASTOPEN, ALLOW_IF, EPERM, 1, {0}},
    {SYS_bind, 0, 0, ALLOW_IF, EPERM, 1, {0}}, /* some C libraries bind before they ask for a name; Landlock refuses it to TCP */
};
enum { NETWORK_LOOKS = sizeof network_looks / sizeof *network_looks };

/* The options that a socket of a network may be given, by level: how it waits, how much it buffers, how it keeps alive. */
static const struct {
    unsigned level, names[12];
} options[] = {
    {SOL_SOCKET,
     {SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, SO_LINGER, SO_SNDBUF, SO_RCVBUF, SO_RCVTIMEO, SO_SNDTIMEO, SO_PRIORITY, SO_BROADCAST}},
    {IPPROTO_TCP, {TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_QUICKACK, TCP_USER_TIMEOUT}},
    {IPPROTO_IP, {IP_TOS, IP_RECVERR, IP_MTU_DISCOVER, IP_PKTINFO}},
};
enum { OPTION_LEVELS = sizeof options / sizeof *options, OPTION_NAMES = sizeof options->names / sizeof *options->names };

static struct sock_filter code[BPF_MAXINSNS];
static unsigned length;

static void emit(unsigned short operation, unsigned value, unsigned if_true, unsigned if_false)
{
    errno = 0;
    if (length == BPF_MAXINSNS || if_true > 255 || if_false > 255)
        refuse(STAGE_SECCOMP, "the filter has grown too large");
    code[length++] = (struct sock_filter){operation, (uint8_t)if_true, (uint8_t)if_false, value};
}

static void emit_load(unsigned offset)
{
    emit(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void emit_return(unsigned value)
{
    emit(BPF_RET | BPF_K, value, 0, 0);
}

static void emit_held(unsigned number)
{
    emit(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
    emit_return(SECCOMP_RET_USER_NOTIF);
}

#define DENIED(error) (SECCOMP_RET_ERRNO | (unsigned)(error))

/* With the number loaded: decides the call if it is this one, goes on to what follows if it is not. */
static void emit_look(const struct look *look)
{
    unsigned hit = look->verdict == ALLOW_IF ? SECCOMP_RET_ALLOW : DENIED(look->error);
    unsigned miss = look->verdict == ALLOW_IF ? DENIED(look->error) : SECCOMP_RET_ALLOW;
    emit(BPF_JMP | BPF_JEQ | BPF_K, look->number, 0, look->count + 4);
    emit_load((unsigned)offsetof(struct seccomp_data, args) + 8 * look->argument); /* the low half: both are little-endian */
    emit(BPF_ALU | BPF_AND | BPF_K, look->mask, 0, 0);
    for (unsigned i = 0; i < look->count; i++)
        emit(BPF_JMP | BPF_JEQ | BPF_K, look->values[i], look->count - i, 0);
    emit_return(miss);
    emit_return(hit);
}

/* socketpair needs two arguments looked at: Unix and stream. */
static void emit_socketpair(void)
{
    const unsigned arguments = (unsigned)offsetof(struct seccomp_data, args);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 7);
    emit_load(arguments);
    emit(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 4);
    emit_load(arguments + 8);
    emit(BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 1);
    emit_return(SECCOMP_RET_ALLOW);
    emit_return(DENIED(EPERM));
}

/* Like a look at two arguments: the second is one of the values that go with the first, and none of them is zero. */
static void emit_setsockopt(void)
{
    const unsigned arguments = (unsigned)offsetof(struct seccomp_data, args);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, OPTION_LEVELS * (OPTION_NAMES + 5) + 1);
    for (unsigned i = 0; i < OPTION_LEVELS; i++) {
        emit_load(arguments + 8);
        emit(BPF_JMP | BPF_JEQ | BPF_K, options[i].level, 0, OPTION_NAMES + 3);
        emit_load(arguments + 16);
        for (unsigned j = 0; j < OPTION_NAMES; j++)
            emit(BPF_JMP | BPF_JEQ | BPF_K, options[i].names[j] != 0 ? options[i].names[j] : ~0u, OPTION_NAMES - j, 0);
        emit_return(DENIED(EPERM));
        emit_return(SECCOMP_RET_ALLOW);
    }
    emit_return(DENIED(EPERM));
}

/* TCP or UDP, of version 4, and the protocol that goes with each. */
static void emit_socket(void)
{
    const unsigned arguments = (unsigned)offsetof(struct seccomp_data, args);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 14);
    emit_load(arguments);
    emit(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 0, 11);
    emit_load(arguments + 8);
    emit(BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 4, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 7);
    emit_load(arguments + 16);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 3, 4);
    emit_load(arguments + 16);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1);
    emit_return(SECCOMP_RET_ALLOW);
    emit_return(DENIED(EAFNOSUPPORT));
}

static void emit_network(void)
{
    emit_held(SYS_connect);
    emit_socket();
    emit_setsockopt();
    for (unsigned i = 0; i < NETWORK_LOOKS; i++)
        emit_look(&network_looks[i]);
}

/*
 * An open that creates is looked into for its mode; of one that does not, that register may hold anything. Then it is held if it is of the
 * kind that is; not for a folder, nor for a mere place: neither is ever handed over.
 */
static void emit_open(unsigned number, unsigned flags_argument, enum holding holding)
{
    const unsigned flags = (unsigned)offsetof(struct seccomp_data, args) + 8 * flags_argument;
    const unsigned creates = O_CREAT | (O_TMPFILE & ~O_DIRECTORY), writes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    emit(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 10);
    emit_load(flags);
    emit(BPF_JMP | BPF_JSET | BPF_K, creates, 0, 2);
    emit_load(flags + 8);
    emit(BPF_JMP | BPF_JSET | BPF_K, SET_ID, 5, 0);
    emit_load(flags);
    emit(BPF_JMP | BPF_JSET | BPF_K, O_PATH | O_DIRECTORY, 1, 0);
    emit(BPF_JMP | (holding == HOLD_ALL ? BPF_JGE : BPF_JSET) | BPF_K, holding == HOLD_WRITES ? writes : 0, 1, 0);
    emit_return(SECCOMP_RET_ALLOW);
    emit_return(SECCOMP_RET_USER_NOTIF);
    emit_return(DENIED(EPERM));
}

#ifdef SYS_creat
static void emit_creat(void)
{
    emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_creat, 0, 4);
    emit_load((unsigned)offsetof(struct seccomp_data, args) + 8);
    emit(BPF_JMP | BPF_JSET | BPF_K, SET_ID, 1, 0);
    emit_return(SECCOMP_RET_USER_NOTIF);
    emit_return(DENIED(EPERM));
}
#endif

/* Of names, modes and times; changes.c and attributes.c have the same list, and see to set-id bits before anything goes on. */
static void emit_changes(void)
{
    static const unsigned calls[] = {
        SYS_unlinkat, SYS_mkdirat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_fchmodat, SYS_utimensat,
#ifdef __x86_64__
        SYS_unlink, SYS_rmdir, SYS_mkdir, SYS_rename, SYS_link, SYS_symlink, SYS_chmod, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
    };
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        emit_held(calls[i]);
}

/* One call with one value of an argument; whatever else it is goes on to what follows. */
static void emit_denied(unsigned number, unsigned argument, unsigned value)
{
    emit(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4);
    emit_load((unsigned)offsetof(struct seccomp_data, args) + 8 * argument);
    emit(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    emit_return(DENIED(EPERM));
    emit_load(offsetof(struct seccomp_data, nr));
}

static void emit_without(const struct spec *spec)
{
    for (size_t group = 0; group < CALL_GROUPS; group++)
        for (const unsigned *call = groups[group]; spec->without[group] && *call != 0; call++) {
            emit(BPF_JMP | BPF_JEQ | BPF_K, *call, 0, 1);
            emit_return(DENIED(EPERM));
        }
    /* A descriptor signals whoever it is said to belong to, and does so for a folder that changes or a file that is opened. */
    if (spec->without[CALLS_SIGNALS]) {
        emit_denied(SYS_fcntl, 1, F_SETOWN);
        emit_denied(SYS_fcntl, 1, F_SETOWN_EX);
    }
    if (spec->without[CALLS_WATCHING]) {
        emit_denied(SYS_fcntl, 1, F_NOTIFY);
        emit_denied(SYS_fcntl, 1, F_SETLEASE);
    }
    if (!spec->without[CALLS_PROCESSES])
        return;
    emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
    emit_load(offsetof(struct seccomp_data, args));
    emit(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
    emit_return(DENIED(EPERM));
    emit_load(offsetof(struct seccomp_data, nr));
    /* That it dies with its parent may be all that ends it. */
    emit_denied(SYS_prctl, 0, PR_SET_PDEATHSIG);
}

static int by_number(const void *one, const void *other)
{
    unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return (a > b) - (a < b);
}

/*
 * The numbers as the places where the verdict changes: below edges[0] denied, from there allowed, from edges[1] denied again, and
 * so on. Interval i ends at edges[i]; odd intervals are allowed.
 */
static unsigned edges[2 * sizeof allowed / sizeof *allowed];

static unsigned find_edges(void)
{
    static unsigned sorted[sizeof allowed / sizeof *allowed];
    const unsigned count = sizeof allowed / sizeof *allowed;
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        sorted[i] = allowed[i];
    qsort(sorted, count, sizeof *sorted, by_number);
    for (unsigned i = 0; i < count; i++) {
        if (found > 0 && sorted[i] < edges[found - 1])
            continue; /* twice the same */
        if (found > 0 && sorted[i] == edges[found - 1])
            edges[found - 1] = sorted[i] + 1;
        else {
            edges[found++] = sorted[i];
            edges[found++] = sorted[i] + 1;
        }
    }
    return found;
}

/* Decides between the intervals first to last, both included. */
static void emit_tree(unsigned first, unsigned last)
{
    if (first == last) {
        emit_return(first % 2 == 1 ? SECCOMP_RET_ALLOW : DENIED(EPERM));
        return;
    }
    unsigned middle = (first + last) / 2;
    unsigned branch = length;
    emit(BPF_JMP | BPF_JGE | BPF_K, edges[middle], 0, 0);
    emit_tree(first, middle);
    unsigned distance = length - branch - 1;
    errno = 0;
    if (distance > 255)
        refuse(STAGE_SECCOMP, "the filter has grown too large");
    code[branch].jt = (uint8_t)distance;
    emit_tree(middle + 1, last);
}

int seccomp_restrict(const struct spec *spec)
{
    emit_load(offsetof(struct seccomp_data, arch));
    emit(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    emit_return(SECCOMP_RET_KILL_PROCESS);
    emit_load(offsetof(struct seccomp_data, nr));
#ifdef X32_BIT
    emit(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    emit_return(SECCOMP_RET_KILL_PROCESS);
#endif
    emit_without(spec);
    const enum holding holding = spec->opens == HOLD_NONE && spec->deeds ? HOLD_WRITES : spec->opens;
#ifdef SYS_creat
    if (holding != HOLD_NONE)
        emit_creat();
#endif
    if (holding != HOLD_NONE)
        emit_held(SYS_truncate); /* as an open for writing */
    if (spec_is_governed(spec))
        emit_held(SYS_set_tid_address); /* image.h */
    if (spec->opens != HOLD_NONE)
        emit_changes();
    for (unsigned i = 0; i < LOOKS; i++)
        emit_look(&looks[i]);
    emit_socketpair();
    if (spec->network)
        emit_network();
    else {
        emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 1);
        emit_return(SECCOMP_RET_ALLOW);
    }
    emit_open(SYS_openat, 2, holding);
#ifdef SYS_open
    emit_open(SYS_open, 1, holding);
#endif
    emit_tree(0, find_edges());

    struct sock_fprog program = {.len = (unsigned short)length, .filter = code};
    unsigned long flags = spec_is_governed(spec) ? SECCOMP_FILTER_FLAG_NEW_LISTENER | K_SECCOMP_WAIT_KILLABLE : 0;
    long held = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (held < 0)
        refuse(STAGE_SECCOMP, "cannot install the filter");
    return (int)held;
}
