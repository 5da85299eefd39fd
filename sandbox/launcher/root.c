/*
 * The action's file system: an empty tmpfs with the granted paths bound into it, and nothing else. Mounts say what Landlock cannot
 * (a read-only path inside a writable one, noexec, no chmod on what is read-only); Landlock later says the rest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "changes.h"
#include "kernel.h"
#include "layers.h"
#include "report.h"

static const uint64_t attributes[] = {
    [ACCESS_READ] = K_MOUNT_RDONLY | K_MOUNT_NOSUID | K_MOUNT_NODEV | K_MOUNT_NOEXEC,
    [ACCESS_EXECUTE] = K_MOUNT_RDONLY | K_MOUNT_NOSUID | K_MOUNT_NODEV,
    [ACCESS_WRITE] = K_MOUNT_NOSUID | K_MOUNT_NODEV | K_MOUNT_NOEXEC,
    [ACCESS_DEVICE] = K_MOUNT_RDONLY | K_MOUNT_NOSUID | K_MOUNT_NOEXEC,
};

static int set_attributes(int tree, unsigned flags, struct k_mount_attr attr)
{
    return (int)syscall(NR_mount_setattr, tree, "", K_AT_EMPTY_PATH | flags, &attr, sizeof attr);
}

/*
 * Lets the action, which has an id of its own, use what `owner` owns as if it were its own: on this mount alone, nothing on disk
 * changes. A file system without such mounts leaves the action with what everybody may do there, which is less, never more.
 */
static void map_owner(int tree, const struct stat *source)
{
    static struct {
        int map;
        uid_t owner;
        gid_t group;
    } last = {.map = -1};
    if (last.map < 0 || last.owner != source->st_uid || last.group != source->st_gid) {
        if (last.map >= 0)
            close(last.map);
        last.map = namespaces_owner_map(source->st_uid, source->st_gid);
        last.owner = source->st_uid;
        last.group = source->st_gid;
    }
    set_attributes(tree, K_AT_RECURSIVE, (struct k_mount_attr){.attr_set = K_MOUNT_IDMAP, .userns_fd = (uint64_t)last.map});
}

static void open_tree(struct mount *mount, struct stat *found)
{
    int source = source_open(mount, found);
    mount->tree = (int)syscall(NR_open_tree, source, "", K_AT_EMPTY_PATH | K_AT_RECURSIVE | K_OPEN_TREE_CLONE | O_CLOEXEC);
    if (mount->tree < 0)
        refuse(STAGE_MOUNTS, "cannot bind %s", mount->source);
    /* Private, so that nothing mounted here is ever seen outside. */
    if (set_attributes(mount->tree, K_AT_RECURSIVE,
                       (struct k_mount_attr){.attr_set = attributes[mount->access], .propagation = K_PROPAGATE_PRIVATE}) != 0)
        refuse(STAGE_MOUNTS, "cannot restrict the mount of %s", mount->source);
    close(source);
}

void root_open_trees(struct spec *spec, bool as_root)
{
    for (struct mount *mount = spec->mounts; mount < spec->mounts + spec->mount_count; mount++) {
        struct stat found;
        if (access_is_made(mount->access))
            continue;
        open_tree(mount, &found);
        if (as_root && spec->change.operation != CHANGE_NONE && !spec_sets_attributes(spec))
            change_find_owner(spec, mount->tree, &found);
        /* Granted system folders stay as they are: what in them only root may read is not meant for an action. */
        bool program_folder = mount->access == ACCESS_EXECUTE && mount->kind == KIND_FOLDER;
        if (as_root && !program_folder)
            map_owner(mount->tree, &found);
    }
}

static void set_option(int context, const char *key, const char *value)
{
    long done = value ? syscall(NR_fsconfig, context, K_FSCONFIG_SET_STRING, key, value, 0)
                      : syscall(NR_fsconfig, context, K_FSCONFIG_SET_FLAG, key, NULL, 0);
    if (done != 0)
        refuse(STAGE_ROOT, "option %s of a new file system", key);
}

static int finish_file_system(int context, const char *kind, unsigned attributes)
{
    int made = -1;
    if (syscall(NR_fsconfig, context, K_FSCONFIG_CREATE, NULL, NULL, 0) == 0)
        made = (int)syscall(NR_fsmount, context, 1 /* close on exec */, attributes);
    if (made < 0)
        refuse(STAGE_ROOT, "cannot make a new %s", kind);
    close(context);
    return made;
}

static int start_file_system(const char *kind)
{
    int context = (int)syscall(NR_fsopen, kind, 1 /* close on exec */);
    if (context < 0)
        refuse(STAGE_ROOT, "cannot open the file system %s", kind);
    return context;
}

static int new_tmpfs(uint64_t bytes, unsigned attributes)
{
    char size[32];
    snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    int context = start_file_system("tmpfs");
    set_option(context, "size", size);
    set_option(context, "nr_inodes", "4096");
    set_option(context, "mode", "0755");
    return finish_file_system(context, "tmpfs", attributes);
}

/* Of the processes in here alone: no kernel settings, no hardware, no host. */
static int new_proc(void)
{
    int context = start_file_system("proc");
    set_option(context, "subset", "pid");
    return finish_file_system(context, "proc", K_MOUNT_RDONLY | K_MOUNT_NOSUID | K_MOUNT_NODEV | K_MOUNT_NOEXEC);
}

static void attach(int tree, int place, const char *name)
{
    unsigned flags = K_MOVE_MOUNT_FROM_FD | (name[0] == '\0' ? K_MOVE_MOUNT_TO_FD : 0u);
    if (syscall(NR_move_mount, tree, "", place, name, flags) != 0)
        refuse(STAGE_ROOT, "cannot attach a mount at '%s'", name);
}

static dev_t device_of(int file)
{
    struct stat found;
    if (fstat(file, &found) != 0)
        refuse(STAGE_ROOT, "cannot look at a mount");
    return found.st_dev;
}

/* The two file systems that are ours to make folders in. Whatever else is missing was promised by the spec and is not made up. */
static dev_t own[2];

static void require_own(int folder, const char *path)
{
    dev_t device = device_of(folder);
    errno = 0;
    if (device != own[0] && device != own[1])
        refuse(STAGE_ROOT, "%s does not exist in what is granted around it", path);
}

/* Opens the folder that holds the last part of `path`, making what is missing; never through a symbolic link. */
static int open_parent(int root, const char *path, const char **last)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    for (const char *part = path + 1;;) {
        const char *slash = strchr(part, '/');
        if (slash == NULL) {
            *last = part;
            return at;
        }
        char name[256];
        size_t length = (size_t)(slash - part);
        errno = 0;
        if (length >= sizeof name)
            refuse(STAGE_ROOT, "%s has a name that is too long", path);
        memcpy(name, part, length);
        name[length] = '\0';
        int below = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0 && errno == ENOENT) {
            require_own(at, path);
            if (mkdirat(at, name, 0755) == 0)
                below = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (below < 0)
            refuse(STAGE_ROOT, "cannot make the folder for %s", path);
        close(at);
        at = below;
        part = slash + 1;
    }
}

/* The same folder over itself, with all that the mount above it says: owners, attributes. Nothing else lies below it yet. */
static int copy_of(int folder, const char *path)
{
    struct stat found;
    int tree = (int)syscall(NR_open_tree, folder, "", K_AT_EMPTY_PATH | K_AT_RECURSIVE | K_OPEN_TREE_CLONE | O_CLOEXEC);
    if (tree < 0 || fstat(tree, &found) != 0 || !S_ISDIR(found.st_mode))
        refuse(STAGE_ROOT, "cannot hold %s in place", path);
    return tree;
}

/* In our own root, which has one of each for all. */
static int nothing_of(int root, enum kind kind)
{
    const char *name = kind == KIND_FOLDER ? ".no-folder" : ".no-file";
    int made = kind == KIND_FOLDER ? mkdirat(root, name, 0) : openat(root, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0);
    if (made < 0 && errno != EEXIST)
        refuse(STAGE_ROOT, "cannot make what hides something");
    if (made >= 0 && kind != KIND_FOLDER)
        close(made);
    int tree = (int)syscall(NR_open_tree, root, name, K_OPEN_TREE_CLONE | O_CLOEXEC);
    if (tree < 0 || set_attributes(tree, 0, (struct k_mount_attr){.attr_set = attributes[ACCESS_READ]}) != 0)
        refuse(STAGE_ROOT, "cannot mount what hides something");
    return tree;
}

static void place_mount(int root, const struct mount *mount)
{
    const char *name;
    int parent = open_parent(root, mount->target, &name);
    int point = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (point < 0 && errno == ENOENT) {
        require_own(parent, mount->target);
        int made = mount->kind == KIND_FOLDER ? mkdirat(parent, name, 0755) : openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
        if (made < 0)
            refuse(STAGE_ROOT, "cannot make a place for %s", mount->target);
        if (mount->kind != KIND_FOLDER)
            close(made);
        point = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (point < 0)
        refuse(STAGE_ROOT, "cannot open the place for %s", mount->target);
    int tree = mount->access == ACCESS_PIN    ? copy_of(point, mount->target)
               : mount->access == ACCESS_NONE ? nothing_of(root, mount->kind)
                                              : mount->tree;
    attach(tree, point, "");
    close(point);
    close(parent);
}

static void place_link(int root, const struct link *link)
{
    const char *name;
    int parent = open_parent(root, link->path, &name);
    require_own(parent, link->path);
    if (symlinkat(link->leads_to, parent, name) != 0)
        refuse(STAGE_ROOT, "cannot make the link %s", link->path);
    close(parent);
}

/* What process 1 keeps while it waits: of a mount namespace, its descriptor and that of its root. */
struct view {
    int mounts, root;
};
static struct view outside = {-1, -1}, inside;

/* What every root has beside /tmp, whatever the plan. /dev/zero is left out: mapping it shared gives memory that no limit counts. */
static struct mount base[] = {
    {.access = ACCESS_READ, .kind = KIND_FOLDER, .target = "/proc"},
    {.access = ACCESS_DEVICE, .kind = KIND_FILE, .source = "/dev/null", .target = "/dev/null"},
    {.access = ACCESS_DEVICE, .kind = KIND_FILE, .source = "/dev/full", .target = "/dev/full"},
    {.access = ACCESS_DEVICE, .kind = KIND_FILE, .source = "/dev/random", .target = "/dev/random"},
    {.access = ACCESS_DEVICE, .kind = KIND_FILE, .source = "/dev/urandom", .target = "/dev/urandom"},
};
enum { PROC, FIRST_DEVICE, BASE_MOUNTS = sizeof base / sizeof *base };
_Static_assert(BASE_MOUNTS + 1 == SPEC_OWN_MOUNTS, "each of our own mounts has a place");

static struct view current_view(int root)
{
    struct view view = {.mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), .root = root};
    if (view.mounts < 0 || view.root < 0)
        refuse(STAGE_ROOT, "cannot hold on to a mount namespace");
    return view;
}

/* By the root itself and not by the namespace's own: Node may have been started in another. */
static void enter(struct view view)
{
    if (setns(view.mounts, CLONE_NEWNS) != 0 || fchdir(view.root) != 0 || chroot(".") != 0)
        refuse(STAGE_ROOT, "cannot change between mount namespaces");
}

void root_prepare(bool keep_outside)
{
    if (keep_outside) {
        outside = current_view(open("/", O_PATH | O_CLOEXEC));
        if (unshare(CLONE_NEWNS) != 0)
            refuse(STAGE_ROOT, "cannot copy the mounts");
    }
    if (set_attributes(open("/", O_PATH | O_CLOEXEC), K_AT_RECURSIVE, (struct k_mount_attr){.propagation = K_PROPAGATE_PRIVATE}) != 0)
        refuse(STAGE_ROOT, "cannot make the mounts private");

    base[PROC].tree = new_proc();
    for (size_t i = FIRST_DEVICE; i < BASE_MOUNTS; i++) {
        struct stat found;
        open_tree(&base[i], &found);
    }
    inside = current_view(new_tmpfs(1 << 20, K_MOUNT_NOSUID | K_MOUNT_NODEV | K_MOUNT_NOEXEC));
    own[0] = device_of(inside.root);
    attach(inside.root, AT_FDCWD, "/tmp"); /* any folder does, and this one is everywhere */
    for (size_t i = 0; i < BASE_MOUNTS; i++)
        place_mount(inside.root, &base[i]);
    if (fchdir(inside.root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        refuse(STAGE_ROOT, "cannot change to the new root");
    if (syscall(SYS_umount2, ".", K_DETACH) != 0 || chdir("/") != 0)
        refuse(STAGE_ROOT, "cannot let go of the old root");

    /*
     * Whoever lets go of a mount namespace last waits for all processors. The worker holds ours too, so that neither the action's
     * start nor its end is that moment.
     */
    const int held[] = {inside.mounts, outside.mounts};
    if (!pass_send(CONTROL, "ready", held, keep_outside ? 2 : 1))
        _exit(STAGE_ROOT);
}

void root_open_outside(struct spec *spec)
{
    enter(outside);
    root_open_trees(spec, false);
    enter(inside);
    close(outside.mounts);
    close(outside.root);
}

void root_fill(struct spec *spec)
{
    struct mount tmp = {.access = ACCESS_WRITE,
                        .kind = KIND_FOLDER,
                        .target = "/tmp",
                        .tree = new_tmpfs(spec->tmp_bytes, K_MOUNT_NOSUID | K_MOUNT_NODEV | K_MOUNT_NOEXEC)};
    own[1] = device_of(tmp.tree);
    place_mount(inside.root, &tmp);
    for (size_t i = 0; i < spec->link_count; i++)
        place_link(inside.root, &spec->links[i]);
    for (size_t i = 0; i < spec->mount_count; i++)
        place_mount(inside.root, &spec->mounts[i]);
    for (size_t i = 0; i < BASE_MOUNTS; i++)
        spec->mounts[spec->mount_count++] = base[i];
    spec->mounts[spec->mount_count++] = tmp;

    if (set_attributes(inside.root, 0, (struct k_mount_attr){.attr_set = K_MOUNT_RDONLY}) != 0)
        refuse(STAGE_ROOT, "cannot make the new root read-only");
    if (chdir(spec->folder) != 0)
        refuse(STAGE_ROOT, "cannot enter %s", spec->folder);
}
