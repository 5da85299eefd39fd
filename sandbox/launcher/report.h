/* What the launcher says, one line each; sandbox/report.ts reads it. Whoever is listening is at the control descriptor. */
#ifndef CLAWMESH_REPORT_H
#define CLAWMESH_REPORT_H

#include <stddef.h>

/* One socket to whoever gives the orders: orders in, report out. Its end is the order to stop. */
#define CONTROL 3

/* Who that is: of a worker and of the pool the client, which takes frames; of process 1 and the action their worker, which takes packets. */
void report_to_worker(void); /* from here; until then it is the client */
void report_is_heard(void);  /* the action may run from here on, and a refusal ends it at once; until then the client is heard out first */

/*
 * Nothing more is said. A client that has not read all of it may still be giving orders: they are taken and dropped until it ends, for one that
 * cannot be taken would end the client's side, and what it has not read would be lost.
 */
void report_end(void);

/* A frame to the client: its kind, its length in four bytes, the lowest first, and so many bytes. */
enum frame {
    FRAME_OUTPUT = 'o',
    FRAME_ERRORS = 'e',
    FRAME_REPORT = 'r',
    FRAME_NETWORK = 'n', /* what became of a connection, in words: network.c has them */
    FRAME_NAMES = 'q',   /* where a question for a name came from, and the question */
    FRAME_HELLO = 'h',   /* what the action says first on a connection, held back: its id in four bytes, the lowest first, and that */
    FRAME_IMAGE = 's',   /* what a process began as: image.c has it */
    FRAME_WROTE = 'd',   /* the path of a file that was opened for writing, within what is granted */
    FRAME_OPEN = 'p',    /* an open that is held, or was: opens.h has it */
    FRAME_FED = 'f',     /* the last of the input that follows was passed on; empty */
};
enum { FRAME_HEADER = 5, LINE_BYTES = 768 };
size_t frame_header(char *header, enum frame kind, size_t length);

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
    STAGE_POOL,
    STAGE_NETWORK,
    STAGE_HAND, /* a file that was opened cannot be handed to who waits for it */
};

/* Writes one line. A packet of process 1 that nobody can take in is dropped: who is not reading is about to end it. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says `failed STAGE REASON` (with the text of errno where it is set) and ends this process. Nothing goes on past it. */
void refuse(enum stage stage, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

#endif
