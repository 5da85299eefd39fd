/* A spec that runs nothing: one file that is handed over, or one name, mode or time that is changed, for an action that waits for it. */
#include <string.h>

#include "fields.h"
#include "report.h"

problem take_hand(struct spec *spec, char **values)
{
    uint64_t *const numbers[] = {&spec->hand.id, &spec->hand.flags, &spec->hand.mode, &spec->hand.device, &spec->hand.inode};
    spec->hand.door = values[0];
    return plain_door(values[0]) ? take_numbers(numbers, sizeof numbers / sizeof *numbers, values + 1) : "no name of a door";
}

static const char *const changes[] = {
    [CHANGE_REMOVE] = "remove", [CHANGE_REMOVE_FOLDER] = "remove-folder", [CHANGE_MAKE_FOLDER] = "make-folder",
    [CHANGE_RENAME] = "rename", [CHANGE_RENAME_FOLDER] = "rename-folder", [CHANGE_LINK] = "link",
    [CHANGE_SYMLINK] = "symlink", [CHANGE_MODE] = "mode",                 [CHANGE_TIMES] = "times"};
enum { NAME_CHANGES = CHANGE_MODE };

const char *spec_change_word(enum change change)
{
    return changes[change];
}

static bool takes(enum change change, const char *to)
{
    if (change == CHANGE_RENAME || change == CHANGE_RENAME_FOLDER || change == CHANGE_LINK)
        return plain_below(to);
    return (to[0] != '\0') == (change == CHANGE_SYMLINK);
}

problem take_change(struct spec *spec, char **values)
{
    uint64_t *const numbers[] = {&spec->change.mode, &spec->change.device, &spec->change.inode, &spec->change.to_device, &spec->change.to_inode};
    size_t change = CHANGE_REMOVE;
    while (change < NAME_CHANGES && strcmp(changes[change], values[0]) != 0)
        change++;
    if (change == NAME_CHANGES)
        return "unknown change";
    spec->change.operation = change;
    spec->change.name = values[1];
    spec->change.to = values[2];
    if (!plain_below(values[1]) || !takes(change, values[2]))
        return "not a name below a folder";
    return take_numbers(numbers, sizeof numbers / sizeof *numbers, values + 3);
}

problem take_mode(struct spec *spec, char **values)
{
    uint64_t *const numbers[] = {&spec->change.mode, &spec->change.device, &spec->change.inode};
    spec->change.operation = CHANGE_MODE;
    problem problem = take_numbers(numbers, sizeof numbers / sizeof *numbers, values);
    return problem != NULL || (spec->change.mode & ~(uint64_t)01777) == 0 ? problem : "not the mode of a file";
}

problem take_times(struct spec *spec, char **values)
{
    uint64_t *times = spec->change.times;
    uint64_t *const numbers[] = {times, times + 1, times + 2, times + 3, &spec->change.device, &spec->change.inode};
    spec->change.operation = CHANGE_TIMES;
    return take_numbers(numbers, sizeof numbers / sizeof *numbers, values);
}

bool spec_sets_attributes(const struct spec *spec)
{
    return spec->change.operation == CHANGE_MODE || spec->change.operation == CHANGE_TIMES;
}

bool spec_is_errand(const struct spec *spec)
{
    return spec->hand.door != NULL || spec->change.operation != CHANGE_NONE;
}

/* One file, or one folder to change a name in, and nothing that is meant for an action. */
void errand_check(struct spec *spec)
{
    struct mount *mount = spec->mounts;
    bool is_change = spec->change.operation != CHANGE_NONE, sets = spec_sets_attributes(spec);
    bool is_one = spec->mount_count == 1 && (mount->access == ACCESS_WRITE || (mount->access == ACCESS_READ && !is_change)) &&
                  (sets ? mount->kind != KIND_NEW && spec->change.inode != 0 : (mount->kind == KIND_FOLDER) == is_change);
    if (!is_one || spec->program != NULL || spec->filter_length > 0 || spec_is_governed(spec) || (is_change && spec->hand.door != NULL))
        refuse(STAGE_SPEC, "an errand takes one file or folder, no program and no filter");
    if (is_change && !sets)
        return;
    mount->device = (dev_t)(sets ? spec->change.device : spec->hand.device);
    mount->inode = (ino_t)(sets ? spec->change.inode : spec->hand.inode);
}
