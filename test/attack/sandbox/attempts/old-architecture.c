#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A system call by the numbers of another architecture, which a filter that does not look would take for another call. */
    (void)target, (void)workspace, (void)extra;
    #ifdef __x86_64__
    int pid;
    __asm__ volatile("int $0x80" : "=a"(pid) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return pid == getpid();
    #else
    return 0;
    #endif
}
