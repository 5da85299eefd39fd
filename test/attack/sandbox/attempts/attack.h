/*
 * Every file here is one attempt to get out, named for what it tries. Run it by hand:
 *
 *     cc read-outside.c && ./a.out TARGET WORKSPACE [EXTRA]
 *
 * TARGET is a private file outside WORKSPACE. Status 0: got through. Status 1: stopped. Outside the sandbox each gets through.
 */
#ifndef ATTACK_H
#define ATTACK_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* A second life after a successful exec. */
#define LANDED "landed"

__attribute__((unused)) static char *in(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

__attribute__((unused)) static int can_read(const char *path)
{
    char byte;
    int file = open(path, O_RDONLY);
    return file >= 0 && read(file, &byte, 1) == 1;
}

/* A copy of this very program, to be executed from somewhere else. */
__attribute__((unused)) static int copy_self(int to)
{
    char buffer[65536];
    int self = open("/proc/self/exe", O_RDONLY);
    for (ssize_t got; (got = read(self, buffer, sizeof buffer)) != 0;)
        if (got < 0 || write(to, buffer, (size_t)got) != got)
            return 0;
    return 1;
}

__attribute__((unused)) static int drop_self(const char *path)
{
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0700);
    int done = file >= 0 && copy_self(file) && fchmod(file, 0700) == 0;
    close(file);
    return done;
}

__attribute__((unused)) static pid_t sleeper(void)
{
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    return child;
}

/* The tests compile all attempts into one program, which takes the name of the attempt first. */
#ifndef ALL_ATTEMPTS
static int attempt(const char *target, const char *workspace, const char *extra);

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], LANDED) == 0)
        return 0;
    return count >= 3 && attempt(arguments[1], arguments[2], count > 3 ? arguments[3] : "") ? 0 : 1;
}
#endif

#endif
