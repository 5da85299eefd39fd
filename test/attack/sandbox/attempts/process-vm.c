#include "attack.h"
#include <sys/uio.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    static char here[8], there[8] = "secret";
    struct iovec to = {here, 8}, from = {there, 8};
    pid_t child = sleeper();
    int got = process_vm_readv(child, &to, 1, &from, 1, 0) == 8;
    kill(child, SIGKILL);
    return got;
}
