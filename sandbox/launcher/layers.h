/*
 * The layers, in the order in which they go on. Each either holds when its function returns, or the launch has been refused.
 *
 *   launcher        outside; watches, holds the deadline, reports           main.c, watch.c
 *   └ process 1     of six new namespaces; builds the root, then only reaps  namespaces.c, source.c, root.c, privileges.c
 *     └ the action  limits, Landlock, seccomp, then exec                     limits.c, landlock.c, seccomp.c
 */
#ifndef CLAWMESH_LAYERS_H
#define CLAWMESH_LAYERS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "spec.h"

/* The id that an action has outside when root starts it: in a range that nothing is given an account in. */
#define UNPRIVILEGED_ID 1900000000u

/* The id that an action sees itself under, whoever started it. */
#define INNER_ID 1000u

/* What has just been started, and the pipe whose end tells it that the launcher is gone. */
struct child {
    pid_t pid;
    int lifeline;
};

/* namespaces.c */
bool namespaces_as_root(void);                        /* started by root: the action gets another id outside */
struct child namespaces_start(void);                  /* 0 as pid in the child, as fork */
void namespaces_map(struct child child);              /* outside: gives the child its id, lets it go on */
void namespaces_settle(int lifeline);                 /* inside: takes on the id; from here it dies with the launcher */
void namespaces_close(void);                          /* inside: no further user namespace can be made in this one */
int namespaces_owner_map(uid_t owner, gid_t group);   /* for mounts: makes what `owner` owns the action's */
void stop_with_parent(void);

/* source.c */
void source_make_new(struct spec *spec);                            /* the files that a person allowed to be made, still empty */
int source_open(const struct mount *mount, struct stat *found);     /* what was decided on, or the launch is refused */

/* root.c */
void root_open_trees(struct spec *spec, bool as_root); /* detached copies of all that is granted */
void root_enter(struct spec *spec);                    /* a new root of exactly these; the old one is gone */

/* privileges.c */
void privileges_drop(void);

/* limits.c */
void limits_set(const struct spec *spec);

/* landlock.c */
void landlock_restrict(const struct spec *spec);
int landlock_abi(void);

/* seccomp.c */
void seccomp_restrict(void);

/* watch.c */
int watch(pid_t pid, const struct spec *spec);

#endif
