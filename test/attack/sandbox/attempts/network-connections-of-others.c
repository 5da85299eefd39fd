#include "attack.h"
#include "network.h"

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* Who listens on this machine. */
    (void)target, (void)workspace;
    struct places at = places_of(extra);
    char line[512], wanted[16];
    int found = 0;
    FILE *table = fopen("/proc/net/tcp", "r");
    snprintf(wanted, sizeof wanted, ":%04X ", ntohs(at.secret.sin_port));
    while (table != NULL && fgets(line, sizeof line, table) != NULL)
        found |= strstr(line, wanted) != NULL;
    return found;
}
