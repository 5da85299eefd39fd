#include "spec.h"

#include <errno.h>
#include <string.h>

#include "fields.h"
#include "report.h"

/* Exactly what it looks like: no empty, '.' or '..' component, no '/' at either end. */
bool plain_below(const char *path)
{
    for (const char *part = path;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += length;
        if (*part == '\0')
            return true;
    }
}

static bool plain_path(const char *path)
{
    return path[0] == '/' && plain_below(path + 1);
}

/* The place of a word in a list, or the list's length. */
static size_t place_of(const char *word, const char *const words[], size_t count)
{
    size_t place = 0;
    while (place < count && strcmp(words[place], word) != 0)
        place++;
    return place;
}

static problem take_mount(struct spec *spec, char **values)
{
    static const char *const accesses[] = {
        [ACCESS_READ] = "r", [ACCESS_EXECUTE] = "rx", [ACCESS_WRITE] = "rw", [ACCESS_PIN] = "pin", [ACCESS_NONE] = "none"};
    static const char *const kinds[] = {[KIND_FILE] = "file", [KIND_FOLDER] = "folder", [KIND_NEW] = "new"};
    enum { ACCESSES = sizeof accesses / sizeof *accesses, KINDS = sizeof kinds / sizeof *kinds };
    if (spec->mount_count == SPEC_MOUNTS)
        return "too many mounts";
    size_t access = place_of(values[0], accesses, ACCESSES), kind = place_of(values[1], kinds, KINDS);
    if (access == ACCESSES || kind == KINDS)
        return "unknown access or kind";
    if (kind == KIND_NEW && access != ACCESS_WRITE)
        return "a new file that may not be written";
    spec->mounts[spec->mount_count++] = (struct mount){.access = access, .kind = kind, .source = values[2], .target = values[3], .tree = -1};
    return plain_path(values[2]) && plain_path(values[3]) ? NULL : "not a plain absolute path";
}

static problem read_number(const char *digits, uint64_t *value)
{
    *value = 0;
    for (const char *digit = digits; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || digit - digits > 19)
            return "not a number";
        *value = *value * 10 + (uint64_t)(*digit - '0');
    }
    return digits[0] != '\0' ? NULL : "not a number";
}

problem take_numbers(uint64_t *const numbers[], size_t count, char **values)
{
    problem problem = NULL;
    for (size_t i = 0; i < count && problem == NULL; i++)
        problem = read_number(values[i], numbers[i]);
    return problem;
}

/* Of the mount before it, which is of something that is there. */
static problem take_identity(struct spec *spec, char **values)
{
    struct mount *mount = spec->mounts + spec->mount_count - 1;
    uint64_t device = 0, inode = 0;
    if (spec->mount_count == 0 || mount->kind == KIND_NEW || access_is_made(mount->access))
        return "of nothing that is mounted";
    problem problem = read_number(values[0], &device);
    if (problem == NULL)
        problem = read_number(values[1], &inode);
    if (problem == NULL && inode == 0)
        problem = "of nothing";
    mount->device = (dev_t)device;
    mount->inode = (ino_t)inode;
    return problem;
}

static problem take_unchanged(struct spec *spec, char **values)
{
    problem problem = take_identity(spec, values);
    if (problem != NULL)
        return problem;
    struct mount *mount = spec->mounts + spec->mount_count - 1;
    mount->unchanged = true;
    problem = read_number(values[2], &mount->bytes);
    return problem != NULL ? problem : read_number(values[3], &mount->changed_ns);
}

static problem take_link(struct spec *spec, char **values)
{
    if (spec->link_count == SPEC_LINKS)
        return "too many links";
    spec->links[spec->link_count++] = (struct link){.path = values[0], .leads_to = values[1]};
    return plain_path(values[0]) && values[1][0] != '\0' ? NULL : "not a plain absolute path";
}

static problem take_argument(struct spec *spec, char **values)
{
    if (spec->argument_count == SPEC_ARGUMENTS)
        return "too many arguments";
    spec->arguments[spec->argument_count++] = values[0];
    return NULL;
}

static problem take_variable(struct spec *spec, char **values)
{
    if (spec->variable_count == SPEC_VARIABLES)
        return "too many variables";
    spec->variables[spec->variable_count++] = values[0];
    return strchr(values[0], '=') != NULL ? NULL : "not NAME=VALUE";
}

static problem take_program(struct spec *spec, char **values)
{
    spec->program = values[0];
    return plain_path(values[0]) ? NULL : "not a plain absolute path";
}

static problem take_folder(struct spec *spec, char **values)
{
    spec->folder = values[0];
    return strcmp(values[0], "/") == 0 || plain_path(values[0]) ? NULL : "not a plain absolute path";
}

static problem take_network(struct spec *spec, char **values)
{
    spec->network = true;
    return strcmp(values[0], "governed") == 0 ? NULL : "unknown kind of network";
}

/* The name of an abstract socket: hard to guess, and nothing that means something elsewhere. */
bool plain_door(const char *door)
{
    size_t length = strlen(door);
    return length >= 16 && length <= 64 && strspn(door, "0123456789abcdef") == length;
}

static problem take_opens(struct spec *spec, char **values)
{
    static const char *const holdings[] = {[HOLD_NONE] = "", [HOLD_WRITES] = "writes", [HOLD_ALL] = "all"};
    size_t holding = place_of(values[0], holdings, sizeof holdings / sizeof *holdings);
    if (holding == HOLD_NONE || holding == sizeof holdings / sizeof *holdings)
        return "unknown kind of opens";
    spec->opens = holding;
    spec->door = values[1];
    return plain_door(values[1]) ? NULL : "no name of a door";
}

static problem take_degraded(struct spec *spec, char **values)
{
    spec->degraded = true;
    return strcmp(values[0], "named") == 0 ? NULL : "unknown kind of sandbox";
}

static problem take_output(struct spec *spec, char **values)
{
    spec->output_bytes = UINT64_MAX;
    return strcmp(values[0], "endless") == 0 ? NULL : "unknown kind of output";
}

static problem take_deeds(struct spec *spec, char **values)
{
    spec->deeds = true;
    return strcmp(values[0], "told") == 0 ? NULL : "unknown kind of deeds";
}

bool spec_is_governed(const struct spec *spec)
{
    return spec->network || spec->opens != HOLD_NONE || spec->deeds;
}

/* Every field, how many values it takes, and what takes them: a function, or the number's place in the struct. */
static const struct field {
    const char *key;
    int values;
    problem (*take)(struct spec *, char **);
    size_t number;
} fields[] = {
    {"program", 1, take_program, 0},
    {"folder", 1, take_folder, 0},
    {"argument", 1, take_argument, 0},
    {"variable", 1, take_variable, 0},
    {"mount", 4, take_mount, 0},
    {"identity", 2, take_identity, 0},
    {"unchanged", 4, take_unchanged, 0},
    {"link", 2, take_link, 0},
    {"network", 1, take_network, 0},
    {"opens", 2, take_opens, 0},
    {"deeds", 1, take_deeds, 0},
    {"degraded", 1, take_degraded, 0},
    {"output", 1, take_output, 0},
    {"hand", 6, take_hand, 0},
    {"change", 8, take_change, 0},
    {"mode", 3, take_mode, 0},
    {"times", 6, take_times, 0},
    {"wall_ms", 1, NULL, offsetof(struct spec, wall_ms)},
    {"cpu_seconds", 1, NULL, offsetof(struct spec, cpu_seconds)},
    {"memory_bytes", 1, NULL, offsetof(struct spec, memory_bytes)},
    {"memory_total_bytes", 1, NULL, offsetof(struct spec, memory_total_bytes)},
    {"file_bytes", 1, NULL, offsetof(struct spec, file_bytes)},
    {"tmp_bytes", 1, NULL, offsetof(struct spec, tmp_bytes)},
    {"open_files", 1, NULL, offsetof(struct spec, open_files)},
    {"processes", 1, NULL, offsetof(struct spec, processes)},
    {"output_bytes", 1, NULL, offsetof(struct spec, output_bytes)},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static problem take_number(struct spec *spec, size_t place, const char *digits)
{
    uint64_t *value = (uint64_t *)((char *)spec + place);
    if (strlen(digits) > 16 || read_number(digits, value) != NULL)
        return "not a number";
    return *value > 0 ? NULL : "must be greater than zero";
}

/* The next string of the text, or NULL past its end. */
static char *next(char **at, const char *end)
{
    if (*at >= end)
        return NULL;
    char *found = *at;
    *at += strlen(found) + 1;
    return found;
}

void spec_parse(struct spec *spec, char *text, size_t length)
{
    static const char last[] = "\0end"; /* with its own NUL: five bytes */
    char *at = text;
    const char *end = text + length;
    errno = 0;
    if (length < sizeof last || memcmp(end - sizeof last, last, sizeof last) != 0)
        refuse(STAGE_SPEC, "ended early");

    for (char *key; strcmp(key = next(&at, end), "end") != 0;) {
        const struct field *field = fields;
        while (field < fields + FIELDS && strcmp(field->key, key) != 0)
            field++;
        if (field == fields + FIELDS)
            refuse(STAGE_SPEC, "unknown field '%.40s'", key);
        char *values[FIELD_VALUES] = {0};
        for (int i = 0; i < field->values; i++)
            if ((values[i] = next(&at, end)) == NULL)
                refuse(STAGE_SPEC, "%s: a value is missing", key);
        problem problem = field->take ? field->take(spec, values) : take_number(spec, field->number, values[0]);
        if (problem != NULL)
            refuse(STAGE_SPEC, "%s '%.200s': %s", key, values[field->values - 1], problem);
        if (at == end)
            refuse(STAGE_SPEC, "%s: the end is missing", key);
    }
    if (at != end)
        refuse(STAGE_SPEC, "goes on past its end");

    if (spec_is_errand(spec)) {
        errand_check(spec);
        return;
    }
    for (const struct field *field = fields; field < fields + FIELDS; field++)
        if (field->take == NULL && *(uint64_t *)((char *)spec + field->number) == 0)
            refuse(STAGE_SPEC, "%s is missing", field->key);
    if (spec->program == NULL || spec->folder == NULL || spec->argument_count == 0)
        refuse(STAGE_SPEC, "program, folder or argument is missing");
    if (spec->filter_length == 0)
        refuse(STAGE_SPEC, "the filter is missing");
}
