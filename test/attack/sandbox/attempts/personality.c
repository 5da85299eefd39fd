#include "attack.h"
#include <sys/personality.h>

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)workspace, (void)extra;
    return personality(ADDR_NO_RANDOMIZE) >= 0;
}
