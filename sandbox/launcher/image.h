/*
 * What a process began as. Of an interpreter the command line says which script it runs, but a process may write over its own. So it is read
 * while it is still the kernel's word: every C library says set_tid_address once when a program begins, before anything that the program is
 * made of has a say, and that call is held for as long as this takes. By then the kernel has put 16 bytes of chance on the new stack, at an
 * address by chance that no process can change: it names the image for as long as it runs, forks of it too. Whoever else comes by the same
 * one, or says the call again, takes the name from both.
 */
#ifndef CLAWMESH_IMAGE_H
#define CLAWMESH_IMAGE_H

#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/types.h>

void image_take(const struct seccomp_notif *call); /* tells the client (FRAME_IMAGE), or the name alone of one that means nobody any more, and lets the call go on; while no frame waits */
uint64_t image_of(pid_t thread);                   /* 0 where that cannot be told */

#endif
