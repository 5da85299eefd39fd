#include "attack.h"

/* `kept/inner` is to stay read-only in a workspace that may be written, and is not there yet. */
static int attempt(const char *target, const char *workspace, const char *extra)
{
    (void)target, (void)extra;
    mkdir(in(workspace, "kept"), 0700);
    mkdir(in(workspace, "kept/inner"), 0700);
    int file = open(in(workspace, "kept/inner/f"), O_CREAT | O_WRONLY, 0600);
    return file >= 0 && write(file, "x", 1) == 1;
}
