/* The paths that an action names in its calls: what they were when we looked, where they lead inside, and which mount decides on them. */
#ifndef CLAWMESH_PATHS_H
#define CLAWMESH_PATHS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec.h"

enum { PATH_BYTES = 4096 };

/* What the action wants, as it was when we looked: what it does with its memory from here on changes nothing. */
struct wanted {
    pid_t thread;
    int folder;
    unsigned flags, mode;
    char path[PATH_BYTES];
    bool is_real; /* no link can be on it: a name in a folder, opened without following one */
};

/* MISSING: there is nothing, and no link on the way to it; NOWHERE: there is nothing where it leads. */
enum sight { FOUND, MISSING, NOWHERE, HIDDEN };

bool paths_copy(pid_t thread, uint64_t address, char *path); /* PATH_BYTES of room; false where there is none, or an empty one */
bool paths_make_absolute(struct wanted *wanted);
bool paths_find_root(pid_t thread); /* before the first look */
enum sight paths_look(const char *path, unsigned flags, char *real); /* PATH_BYTES of room for the real one */
bool paths_is_outside(const char *path);
const struct mount *paths_mount_of(const struct spec *spec, const char *path);
bool paths_is_own(const struct mount *mount);
unsigned paths_masked(unsigned mode, pid_t thread); /* a mode for what is made for a thread */

#endif
