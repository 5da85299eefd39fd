/*
 * Changes of names beyond what is granted: a file that is removed, renamed or given another name, a folder that is made or, empty, removed, a symbolic link
 * that is made. Such a call of the action is held by seccomp as an open is (opens.h). One within what is granted goes on at once, and so does one that nobody
 * is to be asked about; the kernel decides it as if it had never been held. Of any other the client is told, who decides on the folders as they were then;
 * another worker makes the change, by a mount of that folder alone, or of the one that both are in (below), and the call then succeeds or fails as that
 * did. It is never let go on.
 *
 *     change ID PID IMAGE OPERATION MODE NAME\0NAME
 *                                    held; NAME is absolute and may hold anything but a NUL; the second one is empty but for `rename` and `link`,
 *                                    and of `symlink` the text. MODE of a rename: 1 where it is to replace nothing
 *     lasts ID YES                   whether the call is still there: 0 or 1
 *
 * and by the client, beside what it says of an open:
 *
 *     lasts ID                       before anything is changed
 *     done ID                        it was
 */
#ifndef CLAWMESH_CHANGES_H
#define CLAWMESH_CHANGES_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "layers.h"
#include "spec.h"

bool changes_take(const struct spec *spec, const struct seccomp_notif *call); /* while no frame waits; false where it is no such call */

/* The worker that makes one, as hand.c is the one that opens a file. */
int change_make(const struct spec *spec);                        /* inside */
void change_report(struct child child, const struct spec *spec); /* outside: `changed ERRNO` */
void change_find_owner(const struct spec *spec, int tree, struct stat *found); /* outside, by root: of the folders, or it refuses where they are two people's */

#endif
