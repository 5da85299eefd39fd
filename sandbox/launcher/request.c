#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"
#include "spec.h"

static void *new_memory(size_t bytes, int sharing)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        refuse(STAGE_SPEC, "no memory for the request");
    return memory;
}

struct request *request_new(void)
{
    return new_memory(sizeof(struct request), MAP_SHARED);
}

static void read_all(int descriptor, void *bytes, size_t length)
{
    for (char *at = bytes; length > 0;) {
        ssize_t got = read(descriptor, at, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = 0;
        if (got <= 0)
            refuse(STAGE_SPEC, "ended early");
        at += got;
        length -= (size_t)got;
    }
}

static size_t read_length(int descriptor)
{
    unsigned char bytes[4];
    read_all(descriptor, bytes, sizeof bytes);
    return bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
}

void request_read(struct request *request, int descriptor)
{
    struct spec *spec = &request->spec;
    size_t length = read_length(descriptor), filter = read_length(descriptor);
    request->input_length = read_length(descriptor);
    request->input_follows = request->input_length == INPUT_FOLLOWS;
    if (request->input_follows)
        request->input_length = 0;
    errno = 0;
    if (length > SPEC_BYTES)
        refuse(STAGE_SPEC, "longer than %d bytes", SPEC_BYTES);
    if (filter % sizeof *spec->filter != 0 || filter > sizeof spec->filter)
        refuse(STAGE_SPEC, "the filter is not a number of instructions, at most %d", BPF_MAXINSNS);
    if (request->input_length > INPUT_BYTES)
        refuse(STAGE_SPEC, "the input is longer than %d bytes", INPUT_BYTES);
    read_all(descriptor, request->text, length);
    read_all(descriptor, spec->filter, filter);
    spec->filter_length = (unsigned short)(filter / sizeof *spec->filter);
    if (request->input_follows)
        request->input = new_memory(INPUT_CHUNK, MAP_PRIVATE);
    if (request->input_length > 0) {
        request->input = new_memory(request->input_length, MAP_PRIVATE);
        read_all(descriptor, request->input, request->input_length);
    }
    spec_parse(spec, request->text, length);
}
