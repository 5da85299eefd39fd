#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* More questions than anybody can answer, of many kinds. */
    int made = 0;
    (void)workspace, (void)extra;
    for (int i = 0; i < 40; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s.%d", target, i) < 0)
            return 0;
        made += mkdir(name, 0700) == 0;
        made += rename(target, name) == 0;
        made += rmdir(name) == 0;
        free(name);
    }
    return made > 0;
}
