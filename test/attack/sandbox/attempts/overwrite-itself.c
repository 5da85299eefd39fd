#include "attack.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The program that was granted, replaced for whoever runs it next. */
    (void)target, (void)workspace;
    char *self = realpath("/proc/self/exe", NULL);
    char *copy = in(extra, "copy");
    int in_place = open(self, O_WRONLY) >= 0;
    return in_place || chmod(self, 0755) == 0 || (drop_self(copy) && rename(copy, self) == 0);
}
