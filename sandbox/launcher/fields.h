/* How the fields of a spec are taken: what spec.c and errand.c are to each other, and to nobody else. */
#ifndef CLAWMESH_FIELDS_H
#define CLAWMESH_FIELDS_H

#include "spec.h"

typedef const char *problem; /* NULL: none */

enum { FIELD_VALUES = 8 }; /* no field takes more */

/* spec.c: what values may be. */
bool plain_below(const char *path);
bool plain_door(const char *door);
problem take_numbers(uint64_t *const numbers[], size_t count, char **values);

/* errand.c */
problem take_hand(struct spec *spec, char **values);
problem take_change(struct spec *spec, char **values);
problem take_mode(struct spec *spec, char **values);
problem take_times(struct spec *spec, char **values);
void errand_check(struct spec *spec); /* that it is one, and says nothing that is meant for an action; or refuses */

#endif
