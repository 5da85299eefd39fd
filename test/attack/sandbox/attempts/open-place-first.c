#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* As a mere place, which nobody is asked about, and then by that. */
    char path[64];
    (void)workspace, (void)extra;
    int place = open(target, O_PATH);
    snprintf(path, sizeof path, "/proc/self/fd/%d", place);
    return first_of(open(path, O_RDONLY)) == 's';
}
