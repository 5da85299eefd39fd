#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)extra;
    char *from = in(workspace, "from"), *to;
    int file = open(from, O_CREAT | O_WRONLY, 0600);
    return file >= 0 && asprintf(&to, "%s.new", target) > 0 && rename(from, to) == 0;
}
