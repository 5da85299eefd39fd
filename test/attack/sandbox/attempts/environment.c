#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return getenv("CLAWMESH_CANARY") != NULL;
}
