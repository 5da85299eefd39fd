/*
 * What to run and with which rights: read once from the control descriptor into one struct, before anything is run.
 *
 * A request is three lengths, of four bytes each and the lowest first, then a spec, a filter and the action's input of these lengths. The filter is
 * the array of `struct sock_filter` that decides on the action's system calls (sandbox/seccomp makes it). A spec is a sequence of strings, each
 * closed by a NUL: a key, then as many values as the key takes (the table in spec.c), and so on until the key `end`, which is the last.
 * sandbox/spec.ts writes both, sandbox/frames.ts the lengths. A key or value that is not understood refuses the launch.
 *
 * The length INPUT_FOLLOWS stands for an input that comes as it is written, until the client ends its side, which ends the action as ever.
 * Where the spec says `network`, `opens` or `deeds`, whatever comes after the request comes in frames (order.h): an input that follows, and answers.
 *
 * A spec that says `degraded` is for an action without namespaces, and only a launcher that was started for such takes it: its filter is another.
 *
 * A spec that says `hand` runs nothing: its one mount is a file, which is opened and handed to the worker of an action that waits for it. Nor does one
 * that says `change`: its one mount is a folder, in which or below which one name is changed. Nor `mode` or `times`: its one mount is given them.
 * None of these has a filter, and nothing else goes without.
 */
#ifndef CLAWMESH_SPEC_H
#define CLAWMESH_SPEC_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SPEC_BYTES = 1 << 20,
    INPUT_BYTES = 64 << 20,
    INPUT_CHUNK = 64 << 10,
    SPEC_MOUNTS = 256,
    SPEC_OWN_MOUNTS = 6, /* /proc, /tmp and four devices, which no spec names */
    SPEC_LINKS = 64,
    SPEC_ARGUMENTS = 256,
    SPEC_VARIABLES = 64,
};

enum access {
    ACCESS_READ,    /* r: read; nothing in it can be executed */
    ACCESS_EXECUTE, /* rx: read and execute */
    ACCESS_WRITE,   /* rw: read and write; nothing in it can be executed */
    ACCESS_PIN,     /* pin: what the mount above it grants; a mount point cannot be renamed, nor what lies below taken along */
    ACCESS_NONE,    /* none: something empty, which nobody may look into, in the place of what is there */
    ACCESS_DEVICE,  /* one of the harmless device nodes, read and write; no spec can say this */
};

/* What is mounted there is made in the sandbox: nothing of the machine's is opened for it. */
static inline bool access_is_made(enum access access)
{
    return access == ACCESS_PIN || access == ACCESS_NONE;
}

/* Which opens of the action are held and, unless they are granted, told to the client. */
enum holding { HOLD_NONE, HOLD_WRITES, HOLD_ALL };

/* What was there when it was decided on. Anything else there now refuses the launch. */
enum kind {
    KIND_FILE,
    KIND_FOLDER,
    KIND_NEW, /* nothing: an empty file is made, so that it alone can be granted and not its folder */
};

/* A change of one name, and of what has it. From a rename to a symbolic link they take another word; the last two are of no name, and take numbers. */
enum change {
    CHANGE_NONE,
    CHANGE_REMOVE,
    CHANGE_REMOVE_FOLDER,
    CHANGE_MAKE_FOLDER,
    CHANGE_RENAME,
    CHANGE_RENAME_FOLDER, /* where it is */
    CHANGE_LINK,          /* another name for a file */
    CHANGE_SYMLINK,       /* the other word is where it leads, and may be any text */
    CHANGE_MODE,
    CHANGE_TIMES,
};

struct mount {
    enum access access;
    enum kind kind;
    const char *source, *target; /* absolute, without symbolic links, '.' or '..' */
    int tree;                    /* a detached copy of the source, once it is open */
    dev_t device;                /* of a new file, once it is made; of what a person allowed, as it was when it was asked for */
    ino_t inode;
    bool unchanged; /* a person allowed it to be executed: nor has it been written to since */
    uint64_t bytes, changed_ns;
};

struct link {
    const char *path, *leads_to;
};

struct spec {
    const char *program, *folder;
    struct mount mounts[SPEC_MOUNTS + SPEC_OWN_MOUNTS]; /* parents before what lies below them */
    struct link links[SPEC_LINKS];
    char *arguments[SPEC_ARGUMENTS + 1];
    char *variables[SPEC_VARIABLES + 1];
    size_t mount_count, link_count, argument_count, variable_count;
    bool network; /* it may ask for connections; each is decided by the client */
    enum holding opens;
    bool degraded; /* no namespaces: degraded.c */
    int executes[2]; /* then: the program and its loader, which is all that is executed; -1 for no loader */
    bool deeds; /* what it runs and opens for writing is told to the client */
    const char *door; /* with opens: the name of the socket at which its worker takes what was opened for it */
    struct {
        const char *door; /* of the worker that waits; NULL: this spec is of an action */
        uint64_t id, flags, mode, device, inode;
    } hand;
    struct {
        enum change operation; /* CHANGE_NONE: this spec is of an action, or says `hand` */
        const char *name, *to; /* paths below the folder; of a symbolic link `to` is its text */
        uint64_t mode, device, inode; /* of what has the name; 0: nothing had it */
        uint64_t to_device, to_inode; /* of what a rename replaces; 0: nothing had that name */
        uint64_t times[4];            /* as utimensat takes them: of the last access, then of the last change of what is in it */
    } change;
    /* limits; none may be left out. output_bytes is of both streams together; `output endless` in its place is no limit */
    uint64_t wall_ms, cpu_seconds, memory_bytes, memory_total_bytes, file_bytes, tmp_bytes, open_files, processes, output_bytes;
    unsigned short filter_length; /* in instructions */
    struct sock_filter filter[BPF_MAXINSNS];
};

#define INPUT_FOLLOWS 0xffffffffu

struct request {
    struct spec spec;
    char *input; /* INPUT_CHUNK bytes of room for an input that follows */
    size_t input_length;
    bool input_follows;
    char text[SPEC_BYTES]; /* where the strings of the spec are */
};

/* Empty, in memory that process 1 will share: read once, known to both. */
struct request *request_new(void);

/* Reads and checks a request, or refuses. */
void request_read(struct request *request, int descriptor);

/* errand.c: it runs nothing. */
bool spec_is_errand(const struct spec *spec);
const char *spec_change_word(enum change change);
bool spec_sets_attributes(const struct spec *spec); /* of what is mounted, and changes no name */

/* Some of its calls are held, and the client says more than its request. */
bool spec_is_governed(const struct spec *spec);

/* Checks a spec, whose filter is there already, and takes it apart in place, or refuses. */
void spec_parse(struct spec *spec, char *text, size_t length);

#endif
