/*
 * One action on a machine that gives us no namespaces, and only where a person has named this mode. What is left holds one process, as a plain user:
 *
 *   Landlock   all that is granted, on the machine's own file system. Rights add up, so nothing can be kept read-only inside what is written, nor be data
 *              inside what is executed: a spec that wants it is refused. What Landlock does not cover on files of the same user (modes, times) is not to be called.
 *   seccomp    the list of every action, less the groups that spec.ts names: no other process, no socket, no signal, nothing that reaches another process. A spec
 *              that does not say that it is for this mode has another filter, and is refused.
 *   limits     those of a process, which is all that there is. Threads are counted with those of all others of its user.
 *
 * The action dies with process 1, which here is only its parent, and that dies with the worker. A process could undo that by prctl, which is refused, and by
 * executing a file with capabilities of its own, at which the kernel forgets it: so nothing is executed but the program and its loader, which have none.
 * There is no /tmp of its own, no /proc, and whether a file exists anywhere can be asked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kernel.h"
#include "layers.h"
#include "report.h"

static bool is_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

static void check(const struct spec *spec)
{
    errno = 0;
    if (!spec->degraded)
        refuse(STAGE_NAMESPACES, "the filter is one for an action with namespaces");
    if (spec_is_governed(spec) || spec_is_errand(spec))
        refuse(STAGE_NAMESPACES, "without namespaces no call can be held");
    for (const struct mount *each = spec->mounts; each < spec->mounts + spec->mount_count; each++) {
        if (access_is_made(each->access) || strcmp(each->source, each->target) != 0)
            refuse(STAGE_NAMESPACES, "without namespaces %s cannot be put in place", each->source);
        for (const struct mount *above = spec->mounts; above < spec->mounts + spec->mount_count; above++)
            if (is_within(each->target, above->target) && above->access != each->access && above->access != ACCESS_READ)
                refuse(STAGE_NAMESPACES, "without namespaces %s cannot have less than %s", each->target, above->target);
    }
}

static void open_sources(struct spec *spec)
{
    static const char *const devices[] = {"/dev/null", "/dev/full", "/dev/random", "/dev/urandom"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        spec->mounts[spec->mount_count++] =
            (struct mount){.access = ACCESS_DEVICE, .kind = KIND_FILE, .source = devices[i], .target = devices[i]};
    for (struct mount *mount = spec->mounts; mount < spec->mounts + spec->mount_count; mount++) {
        struct stat found;
        mount->tree = source_open(mount, &found);
    }
}

/* What the kernel executes of an ELF file of this machine beside it; -1 for none. */
static int open_loader(int program, const char *path)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    char loader[PATH_MAX];
    errno = 0;
    if (pread(program, &header, sizeof header, 0) != sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        refuse(STAGE_EXEC, "without namespaces only a program itself is executed, and %s is none", path);
    for (size_t i = 0; i < header.e_phnum; i++) {
        if (pread(program, &segment, sizeof segment, (off_t)(header.e_phoff + i * header.e_phentsize)) != sizeof segment)
            refuse(STAGE_EXEC, "cannot read %s", path);
        if (segment.p_type != PT_INTERP)
            continue;
        if (segment.p_filesz == 0 || segment.p_filesz > sizeof loader ||
            pread(program, loader, segment.p_filesz, (off_t)segment.p_offset) != (ssize_t)segment.p_filesz ||
            loader[segment.p_filesz - 1] != '\0')
            refuse(STAGE_EXEC, "cannot read the loader of %s", path);
        int file = open(loader, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            refuse(STAGE_EXEC, "cannot open %s", loader);
        return file;
    }
    return -1;
}

static void open_program(struct spec *spec)
{
    char value[64];
    spec->executes[0] = open(spec->program, O_RDONLY | O_CLOEXEC);
    struct stat found;
    if (spec->executes[0] < 0 || fstat(spec->executes[0], &found) != 0)
        refuse(STAGE_EXEC, "cannot open %s", spec->program);
    for (size_t i = 0; i < spec->mount_count; i++)
        if (strcmp(spec->mounts[i].target, spec->program) == 0)
            source_require(&spec->mounts[i], &found); /* opened once more, and that alone is executed */
    spec->executes[1] = open_loader(spec->executes[0], spec->program);
    for (size_t i = 0; i < 2; i++) {
        errno = 0;
        if (spec->executes[i] >= 0 && (fgetxattr(spec->executes[i], "security.capability", value, sizeof value) >= 0 || errno == ERANGE))
            refuse(STAGE_EXEC, "%s has capabilities of its own", spec->program);
    }
}

static void narrow(struct spec *spec)
{
    struct sysinfo machine;
    if (sysinfo(&machine) != 0)
        refuse(STAGE_LIMITS, "cannot count the processes");
    spec->processes += machine.procs;
    if (spec->memory_bytes > spec->memory_total_bytes)
        spec->memory_bytes = spec->memory_total_bytes;
}

static void __attribute__((noreturn)) run(struct child worker, struct streams streams, struct spec *spec)
{
    if (dup2(streams.input, 0) < 0 || dup2(streams.output, 1) < 0 || dup2(streams.errors, 2) < 0 || dup3(worker.socket, CONTROL, O_CLOEXEC) < 0)
        _exit(STAGE_DESCRIPTORS);
    report_to_worker();
    stop_with_parent();
    if (getppid() != worker.pid || setsid() < 0)
        _exit(STAGE_NAMESPACES); /* too late for that: it is gone already */
    if (chdir(spec->folder) != 0)
        refuse(STAGE_ROOT, "cannot enter %s", spec->folder);
    privileges_give_up();
    _exit(start_action(spec));
}

int work_degraded(void)
{
    signal(SIGPIPE, SIG_IGN); /* an action need not read its input */
    struct request *request = request_new();
    struct spec *spec = &request->spec;
    struct streams ours, actions;
    int ends[2];
    bool as_root = namespaces_as_root();
    request_read(request, CONTROL);
    check(spec);
    source_make_new(spec);
    open_sources(spec);
    narrow(spec);
    if (as_root) {
        if (setgroups(0, NULL) != 0)
            refuse(STAGE_IDENTITY, "the worker cannot give up the groups of root");
        namespaces_leave_root();
    }
    open_program(spec);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || !pass_pair(ends))
        refuse(STAGE_NAMESPACES, "cannot be what the action is left to");
    make_streams(&ours, &actions);
    struct child worker = {.pid = getpid(), .socket = ends[0]}, child = {.pid = fork(), .socket = ends[1]};
    if (child.pid < 0)
        refuse(STAGE_NAMESPACES, "cannot start process 1");
    if (child.pid == 0)
        run(worker, actions, spec);
    close(ends[0]);
    close(actions.input);
    close(actions.output);
    close(actions.errors);
    report_is_heard();
    watch(child, ours, request);
    return 0;
}
