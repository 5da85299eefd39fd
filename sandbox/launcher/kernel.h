/*
 * The kernel's interface as far as the launcher uses it and the C library may be too old to name it. Numbers and layouts are the
 * kernel's stable ABI (the same on x86_64 and aarch64 for every call added since 5.1), so that one source builds on every distribution.
 */
#ifndef CLAWMESH_KERNEL_H
#define CLAWMESH_KERNEL_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the launcher knows the system calls of x86_64 and aarch64 only"
#endif

enum {
    NR_pidfd_send_signal = 424,
    NR_pidfd_open = 434,
    NR_open_tree = 428,
    NR_move_mount = 429,
    NR_fsopen = 430,
    NR_fsconfig = 431,
    NR_fsmount = 432,
    NR_close_range = 436,
    NR_openat2 = 437,
    NR_pidfd_getfd = 438,
    NR_mount_setattr = 442,
    NR_landlock_create_ruleset = 444,
    NR_landlock_add_rule = 445,
    NR_landlock_restrict_self = 446,
};

/* Mounts */
enum {
    K_OPEN_TREE_CLONE = 1,
    K_MOVE_MOUNT_FROM_FD = 0x04, /* F_EMPTY_PATH */
    K_MOVE_MOUNT_TO_FD = 0x40,   /* T_EMPTY_PATH */
    K_FSCONFIG_SET_FLAG = 0,
    K_FSCONFIG_SET_STRING = 1,
    K_FSCONFIG_CREATE = 6,
    K_AT_RECURSIVE = 0x8000,
    K_AT_EMPTY_PATH = 0x1000,
    K_MOUNT_RDONLY = 0x01,
    K_MOUNT_NOSUID = 0x02,
    K_MOUNT_NODEV = 0x04,
    K_MOUNT_NOEXEC = 0x08,
    K_MOUNT_NOSYMFOLLOW = 0x200000,
    K_MOUNT_IDMAP = 0x100000,
    K_PROPAGATE_PRIVATE = 1 << 18,
    K_DETACH = 2,
};

struct k_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

/* Paths */
struct k_open_how {
    uint64_t flags, mode, resolve;
};
enum { K_RESOLVE_NO_XDEV = 0x01, K_RESOLVE_NO_MAGICLINKS = 0x02, K_RESOLVE_NO_SYMLINKS = 0x04, K_RESOLVE_BENEATH = 0x08, K_RESOLVE_IN_ROOT = 0x10 };

/* Descriptors */
enum { K_CLOSE_RANGE_CLOEXEC = 4 };

/* Held calls */
#define K_SECCOMP_WAIT_KILLABLE (1UL << 5) /* once taken, a held call ends for a fatal signal only */
#define K_SECCOMP_SET_FLAGS SECCOMP_IOW(4, uint64_t)
enum { K_SECCOMP_SYNC_WAKE_UP = 1, K_SECCOMP_CONTINUE = 1, K_SECCOMP_ADDFD_SEND = 2 /* and the call returns it */ };

#define K_RENAME_NOREPLACE (1U << 0)

/* Landlock: rights by the ABI that brought them */
#define K_LANDLOCK_FS_ABI1 ((1ULL << 13) - 1)
#define K_LANDLOCK_EXECUTE (1ULL << 0)
#define K_LANDLOCK_WRITE_FILE (1ULL << 1)
#define K_LANDLOCK_READ_FILE (1ULL << 2)
#define K_LANDLOCK_READ_DIR (1ULL << 3)
#define K_LANDLOCK_REMOVE_DIR (1ULL << 4)
#define K_LANDLOCK_REMOVE_FILE (1ULL << 5)
#define K_LANDLOCK_MAKE_DIR (1ULL << 7)
#define K_LANDLOCK_MAKE_REG (1ULL << 8)
#define K_LANDLOCK_MAKE_SYM (1ULL << 12)
#define K_LANDLOCK_REFER (1ULL << 13)     /* ABI 2 */
#define K_LANDLOCK_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define K_LANDLOCK_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define K_LANDLOCK_NET_BIND_TCP (1ULL << 0)    /* ABI 4 */
#define K_LANDLOCK_NET_CONNECT_TCP (1ULL << 1) /* ABI 4 */
#define K_LANDLOCK_SCOPE_ABSTRACT (1ULL << 0)  /* ABI 6 */
#define K_LANDLOCK_SCOPE_SIGNAL (1ULL << 1)    /* ABI 6 */

struct k_landlock_ruleset {
    uint64_t fs, net, scoped;
};
struct k_landlock_path {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

#endif
