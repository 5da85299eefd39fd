#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* More questions than anybody can answer: one may be answered wrongly. */
    int made = 0;
    (void)workspace, (void)extra;
    for (int i = 0; i < 40; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s-%d", target, i) < 0)
            return 0;
        made += open(path, O_CREAT | O_WRONLY, 0600) >= 0;
    }
    return made > 0;
}
