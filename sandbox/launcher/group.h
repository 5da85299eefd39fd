/*
 * The control groups of a pool's actions, where the machine lets us have some: what bounds the processes and the memory of an action as a whole, by the
 * kernel's own count. sandbox/groups.ts finds out where and makes the folders, of the first or the second version. What holds:
 *   1. Nothing is written into a group that was not made for this pool.
 *   2. Process 1 is in its group before it does anything, and the limits are set before the action begins; where either fails, nothing is run.
 *   3. Whatever ends the pool, its groups are removed by a process of their own, which outlives it for that.
 */
#ifndef CLAWMESH_GROUP_H
#define CLAWMESH_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "spec.h"

void groups_use(char **words);        /* `pids FOLDER` or `memory FOLDER`, any number of times; none: there are no groups */
void groups_begin(void);              /* the pool, before its first worker */
unsigned long groups_number(void);    /* the pool: of the next worker, which inherits it */
void groups_remove(unsigned long of); /* the pool: that worker has ended */

void group_enter(pid_t process_one);         /* a worker, before it lets process 1 go on */
void group_limit(const struct spec *spec);   /* a worker, while it may */
bool group_is_over(void);                    /* the kernel has ended something in it for want of memory */
int group_is_delegated(const char *folder);  /* 0 where whoever manages the machine's groups has left it to who runs in it */

#endif
