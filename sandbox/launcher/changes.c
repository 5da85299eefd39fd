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

#include "frame.h"
#include "held.h"
#include "image.h"
#include "kernel.h"
#include "opens.h"
#include "paths.h"
#include "report.h"

enum { NONE = -1 };

/* Where in a call its names, the folders that they are meant from, a mode and flags are. */
static const struct form {
    long call;
    enum change change;
    int folder, name, to_folder, to, mode, flags;
} forms[] = {
    {SYS_unlinkat, CHANGE_REMOVE, 0, 1, NONE, NONE, NONE, 2},
    {SYS_mkdirat, CHANGE_MAKE_FOLDER, 0, 1, NONE, NONE, 2, NONE},
    {SYS_renameat, CHANGE_RENAME, 0, 1, 2, 3, NONE, NONE},
    {SYS_renameat2, CHANGE_RENAME, 0, 1, 2, 3, NONE, 4},
#ifdef __x86_64__
    {SYS_unlink, CHANGE_REMOVE, NONE, 0, NONE, NONE, NONE, NONE},
    {SYS_rmdir, CHANGE_REMOVE_FOLDER, NONE, 0, NONE, NONE, NONE, NONE},
    {SYS_mkdir, CHANGE_MAKE_FOLDER, NONE, 0, NONE, NONE, 1, NONE},
    {SYS_rename, CHANGE_RENAME, NONE, 0, NONE, 1, NONE, NONE},
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

bool changes_is_one(int call)
{
    return form_of(call) != NULL;
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
    enum sight sight = wanted->is_real ? NOWHERE : paths_look(folder, 0, real);
    if (sight == HIDDEN)
        return false;
    if (sight == FOUND) {
        if (strlen(real) + strlen(name) >= PATH_BYTES)
            return false;
        snprintf(whole, sizeof whole, "%s%s", strcmp(real, "/") == 0 ? "" : real, name);
        strcpy(path, whole);
    }
    const struct mount *mount = paths_mount_of(spec, path);
    return !paths_is_own(mount) && (mount == NULL || mount->access != ACCESS_WRITE);
}

/* Only what is simply a rename, or a removal of a file or of an empty folder. */
static bool read_flags(const struct seccomp_notif *call, const struct form *form, enum change *change)
{
    unsigned flags = form->flags == NONE ? 0 : (unsigned)call->data.args[form->flags];
    *change = form->change;
    if (form->change == CHANGE_REMOVE && flags == AT_REMOVEDIR)
        *change = CHANGE_REMOVE_FOLDER;
    return flags == 0 || *change == CHANGE_REMOVE_FOLDER;
}

void changes_take(const struct spec *spec, const struct seccomp_notif *call)
{
    static struct wanted from, to;
    enum change change;
    const struct form *form = form_of(call->data.nr);
    bool is_clear = read_flags(call, form, &change) && read_name(call, form->folder, form->name, &from) &&
                    (form->to == NONE || read_name(call, form->to_folder, form->to, &to)) && paths_find_root(from.thread);
    if (form->to == NONE)
        to.path[0] = '\0';
    /* Both are looked at: either may be the one that is not granted. */
    bool is_question = is_clear && is_open_question(spec, &from);
    if (is_clear && form->to != NONE)
        is_question |= is_open_question(spec, &to);
    uint32_t id = is_question && held_lasts(call->id) ? opens_hold(call, true, false) : 0;
    if (id == 0) {
        held_continue(call->id);
        return;
    }
    unsigned mode = form->mode == NONE ? 0 : paths_masked((unsigned)call->data.args[form->mode], from.thread);
    int length = snprintf(frame_room(), FRAME_BYTES, "change %u %d %llx %s %u %s", id, from.thread,
                          (unsigned long long)image_of(from.thread), spec_change_word(change), mode, from.path);
    size_t rest = strlen(to.path);
    memcpy(frame_room() + length + 1, to.path, rest);
    frame_start(FRAME_OPEN, (size_t)length + 1 + rest, MSG_DONTWAIT);
}

/* An entry that was asked about, as far as can be told: a new one in its place is not what a person said yes to. */
static int look_at(int folder, const char *name, uint64_t device, uint64_t inode)
{
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return inode == 0 && errno == ENOENT ? 0 : errno;
    if (inode == 0)
        return EEXIST;
    return found.st_dev == device && found.st_ino == inode ? 0 : ESTALE;
}

/* That a rename replaces nothing where nobody was asked about that, the kernel itself sees to. */
static int look_again(const struct spec *spec, int folder)
{
    int error = look_at(folder, spec->change.name, spec->change.device, spec->change.inode);
    if (error == 0 && spec->change.to_inode != 0)
        error = look_at(folder, spec->change.to, spec->change.to_device, spec->change.to_inode);
    return error;
}

static int make(const struct spec *spec, int folder)
{
    const char *name = spec->change.name;
    switch (spec->change.operation) {
    case CHANGE_REMOVE:
        return unlinkat(folder, name, 0);
    case CHANGE_REMOVE_FOLDER:
        return unlinkat(folder, name, AT_REMOVEDIR);
    case CHANGE_MAKE_FOLDER:
        return mkdirat(folder, name, (mode_t)(spec->change.mode & 0777));
    default:
        /* A file system that cannot promise to replace nothing says EINVAL, and nothing is renamed. */
        return (int)syscall(SYS_renameat2, folder, name, folder, spec->change.to, spec->change.to_inode == 0 ? K_RENAME_NOREPLACE : 0);
    }
}

int change_make(const struct spec *spec)
{
    char word[16];
    privileges_drop();
    umask(0);
    int error = look_again(spec, spec->mounts[0].tree);
    if (error == 0 && make(spec, spec->mounts[0].tree) != 0)
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
