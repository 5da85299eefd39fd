#include "attack.h"
#include "network.h"
#include <linux/filter.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A socket that hears nothing would keep whoever connects it waiting. */
    (void)target, (void)workspace, (void)extra;
    struct sock_filter all = {BPF_RET | BPF_K, 0, 0, 0xffff};
    struct sock_fprog program = {1, &all};
    return setsockopt(tcp(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}
