/*
 * The layers, in the order in which they go on. Each either holds when its function returns, or the launch has been refused.
 *
 *   the pool         optional; starts a worker for each client, runs nothing                  pool.c
 *   └ a worker       outside; for one action only; opens what is granted, watches, relays       worker.c, source.c, watch.c
 *     │ ├ group      of all its processes together, where the machine has one for us             group.c
 *     │ ├ memory     of all its processes together                                               memory.c
 *     │ └ held       calls of the action that wait for an answer                                held.c, order.c, frame.c
 *     │   ├ network  what the action may reach, dialled for it                                  network.c, ports.c, hello.c, relay.c
 *     │   ├ names    what it asks where they lead                                               names.c
 *     │   ├ images   what a process began as, for who decides on what it connects to            image.c
 *     │   ├ opens    files beyond what is granted; another worker opens them                    opens.c, paths.c, hand.c
 *     │   ├ changes  of names beyond what is granted; another worker makes them                changes.c, paths.c
 *     │   └ attributes of files beyond what is granted: modes and times; the same              attributes.c, paths.c
 *     └ process 1    of six new namespaces; builds the root, then only reaps                    inside.c, namespaces.c, root.c, loopback.c,
 *       │                                                                                       privileges.c
 *       └ the action limits, Landlock, seccomp, then exec                                       limits.c, landlock.c, seccomp.c
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

/* What has just been started, and our end of the socket between us: its end tells either that the other is gone. */
struct child {
    pid_t pid;
    int socket;
};

/* The ends of the action's three streams that are on our side of it. */
struct streams {
    int input, output, errors;
};

/* pool.c */
int pool(void); /* a worker for each who connects to ./socket, until the control descriptor ends */

/* offline.c */
int run_offline(char **arguments); /* returns only if it cannot */

/* worker.c */
int work(void); /* one action, for the client at the control descriptor */
void make_streams(struct streams *ours, struct streams *actions);
void close_from(unsigned first);
void close_at_exec_from(unsigned first);

/* degraded.c */
int work_degraded(void); /* the same without namespaces, where a person has named that */

/* inside.c */
int start_action(struct spec *spec); /* and reaps until it has ended */
int run_process_one(struct child worker, struct streams streams, struct spec *spec, bool trees_are_sent);

/* namespaces.c */
bool namespaces_as_root(void);                      /* started by root: the action gets another id outside */
struct child namespaces_start(void);                /* 0 as pid in the child, as fork */
void namespaces_map(struct child child);            /* outside: gives the child its id, lets it go on */
void namespaces_give(int pipe);                     /* outside: the action may open it again, by /dev/stdout and its like */
void namespaces_leave_root(void);                   /* outside: from here a worker needs no more power than its action */
void namespaces_settle(void);                       /* inside: takes on the id; from here it dies with the worker */
void namespaces_close(void);                        /* inside: no further user namespace can be made in this one */
int namespaces_owner_map(uid_t owner, gid_t group); /* for mounts: makes what `owner` owns the action's */
void stop_with_parent(void);

/* pass.c */
enum { PASS_MOST = 128 };
bool pass_pair(int ends[2]);
bool pass_send(int socket, const char *word, const int *descriptors, size_t count);                  /* false: the other is gone */
bool pass_receive(int socket, char *line, size_t bytes, int *descriptors, size_t *count);            /* room for PASS_MOST; false: gone */

/* source.c */
void source_make_new(struct spec *spec);                        /* the files that a person allowed to be made, still empty */
int source_open(const struct mount *mount, struct stat *found); /* what was decided on, or the launch is refused */
void source_require(const struct mount *mount, const struct stat *found); /* the same of what is open already */

/* root.c */
void root_prepare(bool keep_outside);                  /* inside: an empty root; the old one is gone, or kept for the next call */
void root_open_outside(struct spec *spec);             /* inside: what is granted, by the root that was kept; then that is gone too */
void root_open_trees(struct spec *spec, bool as_root); /* detached copies of all that is granted */
void root_fill(struct spec *spec);                     /* inside: exactly these */

/* loopback.c */
enum { NETWORK_PORTS = 16 };
void loopback_open(void); /* inside: what the worker needs to answer in the empty network */

/* privileges.c */
void privileges_drop(void);
void privileges_give_up(void); /* where there is no user namespace: what a plain user can */

/* limits.c */
void limits_set(const struct spec *spec);

/* landlock.c */
void landlock_restrict(const struct spec *spec);
int landlock_abi(void);

/* seccomp.c */
int seccomp_restrict(const struct spec *spec); /* installs its filter; of a spec that is governed: the descriptor by which held calls are answered */

/* hand.c */
int hand_open(const struct spec *spec);                      /* inside: opens the one file, for the worker */
void hand_over(struct child child, const struct spec *spec); /* outside: gives it to the worker that waits for it */

/* memory.c */
bool memory_is_over(pid_t process_one, uint64_t most); /* all processes of the action together */

/* watch.c */
void watch(struct child child, struct streams streams, const struct request *request);

#endif
