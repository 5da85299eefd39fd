#include "attack.h"
#include "opens.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* A link of the workspace leads elsewhere between the question and the answer. */
    char *link = in(workspace, "link");
    if (symlink(extra, link) != 0)
        return 0;
    struct swap swap = {.place = link, .one = extra, .other = target};
    return leaks(keep_relinking, &swap, link);
}
