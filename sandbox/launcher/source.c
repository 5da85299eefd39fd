/*
 * What is granted, as the machine has it: opened once, and exactly what was decided on. From there on only the descriptor is used.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

/* The path is real, so a link on it now has appeared since, and is an attempt to lead us elsewhere. */
static int open_real(const char *path, uint64_t flags, uint64_t mode)
{
    struct k_open_how how = {flags | O_CLOEXEC, mode, K_RESOLVE_NO_SYMLINKS | K_RESOLVE_NO_MAGICLINKS};
    return (int)syscall(NR_openat2, AT_FDCWD, path, &how, sizeof how);
}

static void __attribute__((noreturn)) refuse_changed(const struct mount *mount)
{
    errno = 0;
    refuse(STAGE_CHANGED, "%s", mount->source);
}

/* Out here, before anything that the deadline could end halfway: whoever started us is told of each, and takes back what stays empty. */
void source_make_new(struct spec *spec)
{
    for (size_t i = 0; i < spec->mount_count; i++) {
        struct mount *mount = &spec->mounts[i];
        struct stat made;
        if (mount->kind != KIND_NEW)
            continue;
        int file = open_real(mount->source, O_CREAT | O_EXCL | O_WRONLY, spec->hand.door != NULL ? spec->hand.mode & 0777 : 0666);
        if (file < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EEXIST))
            refuse_changed(mount);
        if (file < 0 || fstat(file, &made) != 0)
            refuse(STAGE_MAKE, "%s", mount->source);
        mount->device = made.st_dev;
        mount->inode = made.st_ino;
        report("made %zu %llu %llu", i, (unsigned long long)made.st_dev, (unsigned long long)made.st_ino);
        close(file);
    }
}

/* What is not a disk: names in there mean another thing for each process, or switch the machine's own settings. */
static bool is_kernels(int path)
{
    static const unsigned magics[] = {
        0x9fa0 /* proc */, 0x62656572 /* sysfs */, 0x27e0eb /* cgroup */, 0x63677270 /* cgroup2 */, 0x64626720 /* debugfs */,
        0x74726163 /* tracefs */, 0x73636673 /* securityfs */, 0x62656570 /* configfs */, 0xcafe4a11 /* bpf */, 0x1cd1 /* devpts */,
        0xde5e81e4 /* efivarfs */, 0x6e736673 /* nsfs */, 0x50494446 /* pidfs */, 0x19800202 /* mqueue */};
    struct statfs found;
    if (fstatfs(path, &found) != 0)
        refuse(STAGE_MOUNTS, "cannot look at a file system");
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if ((unsigned)found.f_type == magics[i])
            return true;
    return false;
}

/* When it was last changed is the kernel's word, which nobody can set back. */
void source_require(const struct mount *mount, const struct stat *found)
{
    uint64_t changed_ns = (uint64_t)found->st_ctim.tv_sec * 1000000000u + (uint64_t)found->st_ctim.tv_nsec;
    if (mount->inode != 0 && (found->st_dev != mount->device || found->st_ino != mount->inode))
        refuse_changed(mount);
    if (mount->unchanged && ((uint64_t)found->st_size != mount->bytes || changed_ns != mount->changed_ns))
        refuse_changed(mount);
}

int source_open(const struct mount *mount, struct stat *found)
{
    int source = open_real(mount->source, O_PATH, 0);
    if (source < 0 && (errno == ELOOP || errno == ENOTDIR || errno == ENOENT))
        refuse_changed(mount);
    if (source < 0 || fstat(source, found) != 0)
        refuse(STAGE_MOUNTS, "%s", mount->source);
    errno = 0;
    if (mount->access != ACCESS_DEVICE && is_kernels(source))
        refuse(STAGE_MOUNTS, "%s is the kernel's", mount->source);
    if ((mount->access == ACCESS_DEVICE) != S_ISCHR(found->st_mode) || S_ISBLK(found->st_mode))
        refuse(STAGE_MOUNTS, "%s is a device, or should be one", mount->source);
    if ((mount->kind == KIND_FOLDER) != S_ISDIR(found->st_mode))
        refuse_changed(mount);
    source_require(mount, found);
    return source;
}
