/*
 * Modes and times of files and folders beyond what is granted, by their paths. Such a call of the action is held as a change of a name is, told to the client
 * in the same words (changes.h), and made by another worker, on what is mounted there for it alone. One by a descriptor is not held: it is of what is open
 * already.
 *
 *     change ID PID IMAGE mode MODE PATH\0
 *     change ID PID IMAGE times FLAGS PATH\0SECONDS NANOSECONDS SECONDS NANOSECONDS
 *                                    FLAGS: 1 where a link itself is meant; the times are as utimensat takes them
 */
#ifndef CLAWMESH_ATTRIBUTES_H
#define CLAWMESH_ATTRIBUTES_H

#include <linux/seccomp.h>
#include <stdbool.h>

#include "spec.h"

bool attributes_take(const struct spec *spec, const struct seccomp_notif *call); /* while no frame waits; false where it is no such call */
int attributes_set(const struct spec *spec);                                     /* inside, by the worker that sets them: 0, or why not */

#endif
