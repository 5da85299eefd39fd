#define _GNU_SOURCE
#include "changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attributes.h"
#include "frame.h"
#include "held.h"
#include "image.h"
#include "kernel.h"
#include "opens.h"
#include "paths.h"
#include "report.h"

enum { NONE = -1 };

/* Where in a call its names, the folders that they are meant from, a mode and flags are. What a symbolic link says stands where another name would. */
static const struct form {
    long call;
    enum change change;
    int folder, name, to_folder, to, mode, flags;
} forms[] = {
    {SYS_unlinkat, CHANGE_REMOVE, 0, 1, NONE, NONE, NONE, 2},
    {SYS_mkdirat, CHANGE_MAKE_FOLDER, 0, 1, NONE, NONE, 2, NONE},
    {SYS_renameat, CHANGE_RENAME, 0, 1, 2, 3, NONE, NONE},
    {SYS_renameat2, CHANGE_RENAME, 0, 1, 2, 3, NONE, 4},
    {SYS_linkat, CHANGE_LINK, 0, 1, 2, 3, NONE, 4},
    {SYS_symlinkat, CHANGE_SYMLINK, 1, 2, NONE, 0, NONE, NONE},
#ifdef __x86_64__
    {SYS_unlink, CHANGE_REMOVE, NONE, 0, NONE, NONE, NONE, NONE},
    {SYS_rmdir, CHANGE_REMOVE_FOLDER, NONE, 0, NONE, NONE, NONE, NONE},
    {SYS_mkdir, CHANGE_MAKE_FOLDER, NONE, 0, NONE, NONE, 1, NONE},
    {SYS_rename, CHANGE_RENAME, NONE, 0, NONE, 1, NONE, NONE},
    {SYS_link, CHANGE_LINK, NONE, 0, NONE, 1, NONE, NONE},
    {SYS_symlink, CHANGE_SYMLINK, NONE, 1, NONE, 0, NONE, NONE},
#endif
};
enum { FORMS = sizeof forms / sizeof *forms };

static const struct form *form_of(int call)
{
    for (const struct form *form = forms; form < forms + FORMS; form++)
        if (form->call == call)
            return form;
    return NULL;
}

static bool read_name(const struct seccomp_notif *call, int folder, int name, struct wanted *wanted)
{
    wanted->thread = (pid_t)call->pid;
    wanted->flags = O_NOFOLLOW; /* a change is of the name, and never of where it leads */
    wanted->folder = folder == NONE ? AT_FDCWD : (int)call->data.args[folder];
    return paths_copy(wanted->thread, call->data.args[name], wanted->path) && paths_make_absolute(wanted);
}

/*
 * Makes the folder of a name the real one, where there is one inside: what the name itself is does not matter, since a change is one of the folder.
 * False where the kernel is to decide: the name is granted or the action's own, or it is none.
 */
static bool is_open_question(const struct spec *spec, struct wanted *wanted)
{
    char folder[PATH_BYTES], real[PATH_BYTES], whole[2 * PATH_BYTES], *path = wanted->path;
    char *name = strrchr(path, '/');
    if (name[1] == '\0' || strcmp(name, "/.") == 0 || strcmp(name, "/..") == 0)
        return false;
    snprintf(folder, sizeof folder, "%.*s", name == path ? 1 : (int)(name - path), path);
    enum sight sight = wanted->is_real ? MISSING : paths_look(folder, 0, real);
    if (sight == HIDDEN)
        return false;
    if (sight == NOWHERE)
        return true; /* what it begins with says nothing of where it leads */
    if (sight == FOUND) {
        if (strlen(real) + strlen(name) >= PATH_BYTES)
            return false;
        snprintf(whole, sizeof whole, "%s%s", strcmp(real, "/") == 0 ? "" : real, name);
        strcpy(path, whole);
    }
    const struct mount *mount = paths_mount_of(spec, path);
    return !paths_is_own(mount) && (mount == NULL || mount->access != ACCESS_WRITE);
}

/* Only what is simply a rename or a link, or a removal of a file or of an empty folder. A rename that must not replace says so in the place of a mode. */
static bool read_flags(const struct seccomp_notif *call, const struct form *form, enum change *change, unsigned *mode)
{
    unsigned flags = form->flags == NONE ? 0 : (unsigned)call->data.args[form->flags];
    *change = form->change == CHANGE_REMOVE && flags == AT_REMOVEDIR ? CHANGE_REMOVE_FOLDER : form->change;
    *mode = form->mode == NONE ? 0 : (unsigned)call->data.args[form->mode];
    if (form->change == CHANGE_RENAME && flags == K_RENAME_NOREPLACE)
        *mode = K_RENAME_NOREPLACE;
    return flags == 0 || *change == CHANGE_REMOVE_FOLDER || *mode == K_RENAME_NOREPLACE;
}

static bool read_to(const struct seccomp_notif *call, const struct form *form, struct wanted *to)
{
    to->path[0] = '\0';
    if (form->change == CHANGE_SYMLINK)
        return paths_copy((pid_t)call->pid, call->data.args[form->to], to->path);
    return form->to == NONE || read_name(call, form->to_folder, form->to, to);
}

bool changes_take(const struct spec *spec, const struct seccomp_notif *call)
{
    static struct wanted from, to;
    enum change change;
    unsigned mode;
    const struct form *form = form_of(call->data.nr);
    if (form == NULL)
        return false;
    bool is_clear = read_flags(call, form, &change, &mode) && read_name(call, form->folder, form->name, &from) &&
                    read_to(call, form, &to) && paths_find_root(from.thread);
    /* Both are looked at: either may be the one that is not granted. */
    bool is_question = is_clear && is_open_question(spec, &from);
    if (is_clear && form->to != NONE && change != CHANGE_SYMLINK)
        is_question |= is_open_question(spec, &to);
    uint32_t id = is_question && held_lasts(call->id) ? opens_hold(call, true, false) : 0;
    if (id == 0) {
        held_continue(call->id);
        return true;
    }
    if (form->mode != NONE)
        mode = paths_masked(mode, from.thread);
    int length = snprintf(frame_room(), FRAME_BYTES, "change %u %d %llx %s %u %s", id, from.thread,
                          (unsigned long long)image_of(from.thread), spec_change_word(change), mode, from.path);
    size_t rest = strlen(to.path);
    memcpy(frame_room() + length + 1, to.path, rest);
    frame_start(FRAME_OPEN, (size_t)length + 1 + rest, MSG_DONTWAIT);
    return true;
}

/* A name, and the folder that it is in. */
struct entry {
    int folder;
    const char *name;
};

/* Below the folder that is mounted: through no link, and on no other mount, since no name goes from one to another. */
static bool find(int tree, const char *path, struct entry *entry)
{
    struct k_open_how how = {O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                             K_RESOLVE_BENEATH | K_RESOLVE_NO_XDEV | K_RESOLVE_NO_SYMLINKS | K_RESOLVE_NO_MAGICLINKS};
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    *entry = (struct entry){tree, slash == NULL ? path : slash + 1};
    if (slash == NULL)
        return true;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    entry->folder = (int)syscall(NR_openat2, tree, folder, &how, sizeof how);
    return entry->folder >= 0;
}

static bool has_two_names(const struct spec *spec)
{
    const enum change operation = spec->change.operation;
    return operation == CHANGE_RENAME || operation == CHANGE_RENAME_FOLDER || operation == CHANGE_LINK;
}

static bool find_both(const struct spec *spec, int tree, struct entry *from, struct entry *to)
{
    *to = (struct entry){-1, ""};
    return find(tree, spec->change.name, from) && (!has_two_names(spec) || find(tree, spec->change.to, to));
}

void change_find_owner(const struct spec *spec, int tree, struct stat *found)
{
    struct entry from, to;
    struct stat other;
    /* What is wrong is said where it is done. */
    if (!find_both(spec, tree, &from, &to) || fstat(from.folder, found) != 0 || !has_two_names(spec))
        return;
    errno = 0;
    if (fstat(to.folder, &other) != 0 || other.st_uid != found->st_uid)
        refuse(STAGE_HAND, "%s and %s are in folders of two owners", spec->change.name, spec->change.to);
}

static bool is_that(const struct stat *found, uint64_t device, uint64_t inode)
{
    return found->st_dev == device && found->st_ino == inode;
}

/* An entry that was asked about, as far as can be told: a new one in its place is not what a person said yes to. */
static int look_at(struct entry entry, uint64_t device, uint64_t inode)
{
    struct stat found;
    if (fstatat(entry.folder, entry.name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return inode == 0 && errno == ENOENT ? 0 : errno;
    if (inode == 0)
        return EEXIST;
    return is_that(&found, device, inode) ? 0 : ESTALE;
}

/* That a rename replaces nothing where nobody was asked about that, the kernel itself sees to. */
static int look_again(const struct spec *spec, struct entry from, struct entry to)
{
    int error = look_at(from, spec->change.device, spec->change.inode);
    if (error == 0 && spec->change.to_inode != 0)
        error = look_at(to, spec->change.to_device, spec->change.to_inode);
    return error;
}

/* By its descriptor, so that it is this very file. */
static int make_link(const struct spec *spec, struct entry from, struct entry to)
{
    char path[64];
    struct stat found;
    int file = openat(from.folder, from.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 || fstat(file, &found) != 0)
        return -1;
    errno = ESTALE;
    if (!is_that(&found, spec->change.device, spec->change.inode))
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return linkat(AT_FDCWD, path, to.folder, to.name, AT_SYMLINK_FOLLOW);
}

/*
 * The kernel renames a name, and whoever may write in the folder that it was in could have put something else there at the last moment. A plain file of
 * theirs might as well have been what was asked about, with other words in it, where a file was; anything else goes back.
 */
static int make_rename(const struct spec *spec, struct entry from, struct entry to)
{
    struct stat found;
    /* A file system that cannot promise to replace nothing says EINVAL, and nothing is renamed. */
    unsigned flags = spec->change.to_inode == 0 ? K_RENAME_NOREPLACE : 0;
    if (syscall(SYS_renameat2, from.folder, from.name, to.folder, to.name, flags) != 0)
        return -1;
    bool is_of_file = spec->change.operation == CHANGE_RENAME;
    if (fstatat(to.folder, to.name, &found, AT_SYMLINK_NOFOLLOW) != 0 || (is_of_file && S_ISREG(found.st_mode)) ||
        is_that(&found, spec->change.device, spec->change.inode))
        return 0;
    syscall(SYS_renameat2, to.folder, to.name, from.folder, from.name, K_RENAME_NOREPLACE);
    errno = ESTALE;
    return -1;
}

static int make(const struct spec *spec, struct entry from, struct entry to)
{
    switch (spec->change.operation) {
    case CHANGE_REMOVE:
        return unlinkat(from.folder, from.name, 0);
    case CHANGE_REMOVE_FOLDER:
        return unlinkat(from.folder, from.name, AT_REMOVEDIR);
    case CHANGE_MAKE_FOLDER:
        return mkdirat(from.folder, from.name, (mode_t)(spec->change.mode & 0777));
    case CHANGE_SYMLINK:
        return symlinkat(spec->change.to, from.folder, from.name);
    case CHANGE_LINK:
        return make_link(spec, from, to);
    default:
        return make_rename(spec, from, to);
    }
}

int change_make(const struct spec *spec)
{
    char word[16];
    struct entry from, to;
    int error;
    privileges_drop();
    umask(0);
    if (spec_sets_attributes(spec))
        error = attributes_set(spec);
    else if ((error = find_both(spec, spec->mounts[0].tree, &from, &to) ? look_again(spec, from, to) : errno) == 0 && make(spec, from, to) != 0)
        error = errno;
    snprintf(word, sizeof word, "%d", error);
    return pass_send(CONTROL, word, NULL, 0) ? 0 : STAGE_HAND;
}

void change_report(struct child child, const struct spec *spec)
{
    char line[LINE_BYTES];
    int none[PASS_MOST];
    size_t count;
    unsigned error;
    if (!pass_receive(child.socket, line, sizeof line, none, &count))
        refuse(STAGE_HAND, "nothing is known of the change of %s", spec->mounts[0].source);
    if (sscanf(line, "%u", &error) != 1) {
        report("%s", line); /* why there was none */
        report_end();
        _exit(STAGE_HAND);
    }
    report("changed %u", error);
    report("exit 0");
    report("usage 0 0 0");
    report_end();
}
