#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const stages[] = {
    [STAGE_SPEC - STAGE_SPEC] = "spec",
    [STAGE_NAMESPACES - STAGE_SPEC] = "namespaces",
    [STAGE_IDENTITY - STAGE_SPEC] = "identity",
    [STAGE_MOUNTS - STAGE_SPEC] = "mounts",
    [STAGE_ROOT - STAGE_SPEC] = "root",
    [STAGE_PRIVILEGES - STAGE_SPEC] = "privileges",
    [STAGE_LIMITS - STAGE_SPEC] = "limits",
    [STAGE_LANDLOCK - STAGE_SPEC] = "landlock",
    [STAGE_SECCOMP - STAGE_SPEC] = "seccomp",
    [STAGE_DESCRIPTORS - STAGE_SPEC] = "descriptors",
    [STAGE_EXEC - STAGE_SPEC] = "exec",
    [STAGE_WATCH - STAGE_SPEC] = "watch",
    [STAGE_CHANGED - STAGE_SPEC] = "changed",
    [STAGE_MAKE - STAGE_SPEC] = "make",
};

/* A path may hold a line break; a report line may not. */
static void send_line(char *line, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = '?';
    while (write(CONTROL, line, length) < 0 && errno == EINTR)
        ;
}

void report(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    send_line(line, (size_t)length);
}

void refuse(enum stage stage, const char *format, ...)
{
    int cause = errno;
    char line[768];
    int length = snprintf(line, sizeof line, "failed %s ", stages[stage - STAGE_SPEC]);
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - 128, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 100)
        length = sizeof line - 100;
    if (cause != 0)
        length += snprintf(line + length, 98, ": %s", strerror(cause));
    line[length++] = '\n';
    send_line(line, (size_t)length);
    _exit(stage);
}
