/* What the launcher says on its control descriptor, one line each; sandbox/launch.ts reads it. */
#ifndef CLAWMESH_REPORT_H
#define CLAWMESH_REPORT_H

/* Spec in, report out: one socket, given by whoever starts the launcher. Its end is the order to stop. */
#define CONTROL 3

/* Where a launch can fail. The number is the launcher's exit status, the name goes into the report. */
enum stage {
    STAGE_SPEC = 64,
    STAGE_NAMESPACES,
    STAGE_IDENTITY,
    STAGE_MOUNTS,
    STAGE_ROOT,
    STAGE_PRIVILEGES,
    STAGE_LIMITS,
    STAGE_LANDLOCK,
    STAGE_SECCOMP,
    STAGE_DESCRIPTORS,
    STAGE_EXEC,
    STAGE_WATCH,
    STAGE_CHANGED, /* a path is not what was decided on */
    STAGE_MAKE,    /* a file that a person allowed to be made cannot be */
};

/* Writes one line. Lines are short enough to arrive whole, whoever else writes. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says `failed STAGE REASON` (with the text of errno where it is set) and ends this process. Nothing goes on past it. */
void refuse(enum stage stage, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

#endif
