#define _GNU_SOURCE
#include <errno.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

/* Older kernels cannot deny TCP; a launch there would promise more than it holds. */
enum { MINIMUM_ABI = 4 };

/* Where no namespace keeps signals from others: those of a descriptor's owner, which no filter of calls sees. */
enum { MINIMUM_ABI_ALONE = 6 };

static const uint64_t file_rights =
    K_LANDLOCK_EXECUTE | K_LANDLOCK_WRITE_FILE | K_LANDLOCK_READ_FILE | K_LANDLOCK_TRUNCATE | K_LANDLOCK_IOCTL_DEV;

/* What each access means. Nothing grants sockets, pipes with names, devices, or a device's ioctl. */
static const uint64_t rights[] = {
    [ACCESS_READ] = K_LANDLOCK_READ_FILE | K_LANDLOCK_READ_DIR,
    [ACCESS_EXECUTE] = K_LANDLOCK_READ_FILE | K_LANDLOCK_READ_DIR | K_LANDLOCK_EXECUTE,
    [ACCESS_WRITE] = K_LANDLOCK_READ_FILE | K_LANDLOCK_READ_DIR | K_LANDLOCK_WRITE_FILE | K_LANDLOCK_TRUNCATE |
                     K_LANDLOCK_REMOVE_DIR | K_LANDLOCK_REMOVE_FILE | K_LANDLOCK_MAKE_DIR | K_LANDLOCK_MAKE_REG |
                     K_LANDLOCK_MAKE_SYM | K_LANDLOCK_REFER,
    [ACCESS_DEVICE] = K_LANDLOCK_READ_FILE | K_LANDLOCK_WRITE_FILE,
};

int landlock_abi(void)
{
    return (int)syscall(NR_landlock_create_ruleset, NULL, 0, 1 /* ask for the version */);
}

static void allow(int ruleset, int file, uint64_t allowed, const char *path)
{
    struct k_landlock_path rule = {.allowed = allowed, .parent = file};
    if (syscall(NR_landlock_add_rule, ruleset, 1 /* path beneath */, &rule, 0) != 0)
        refuse(STAGE_LANDLOCK, "cannot add the rule for %s", path);
}

void landlock_restrict(const struct spec *spec)
{
    int abi = landlock_abi();
    if (abi < 0)
        refuse(STAGE_LANDLOCK, "this kernel has no Landlock, or it is switched off");
    errno = 0;
    int minimum = spec->degraded ? MINIMUM_ABI_ALONE : MINIMUM_ABI;
    if (abi < minimum)
        refuse(STAGE_LANDLOCK, "this kernel has Landlock ABI %d, at least %d is needed", abi, minimum);

    /* All that this kernel can handle, so that all of it is denied unless a rule allows it. */
    struct k_landlock_ruleset handled = {
        .fs = K_LANDLOCK_FS_ABI1 | K_LANDLOCK_REFER | K_LANDLOCK_TRUNCATE | (abi >= 5 ? K_LANDLOCK_IOCTL_DEV : 0),
        .net = K_LANDLOCK_NET_BIND_TCP | K_LANDLOCK_NET_CONNECT_TCP,
        .scoped = abi >= 6 ? K_LANDLOCK_SCOPE_ABSTRACT | K_LANDLOCK_SCOPE_SIGNAL : 0,
    };
    size_t size = abi >= 6 ? sizeof handled : sizeof handled - sizeof handled.scoped;
    int ruleset = (int)syscall(NR_landlock_create_ruleset, &handled, size, 0);
    if (ruleset < 0)
        refuse(STAGE_LANDLOCK, "cannot make a ruleset of ABI %d", abi);

    for (const struct mount *mount = spec->mounts; mount < spec->mounts + spec->mount_count; mount++) {
        if (access_is_made(mount->access))
            continue; /* the rule of the mount above it holds there */
        uint64_t mask = mount->kind == KIND_FOLDER ? ~0ULL : file_rights;
        allow(ruleset, mount->tree, rights[mount->access] & mask & ~(spec->degraded ? K_LANDLOCK_EXECUTE : 0), mount->target);
    }
    for (size_t i = 0; spec->degraded && i < sizeof spec->executes / sizeof *spec->executes; i++)
        if (spec->executes[i] >= 0)
            allow(ruleset, spec->executes[i], K_LANDLOCK_EXECUTE | K_LANDLOCK_READ_FILE, spec->program);
    if (syscall(NR_landlock_restrict_self, ruleset, 0) != 0)
        refuse(STAGE_LANDLOCK, "cannot restrict the action");
}
