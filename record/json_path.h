/* record/json_path.h -- the path of a member within a record, "items[3].price", built only once an error is
 * known: from the inside out, while the calls return. */
#ifndef LEAT_RECORD_JSON_PATH_H
#define LEAT_RECORD_JSON_PATH_H
#include "base/error.h"

struct leat_json_path {
    char text[256]; /* filled from its end; where it is full, outer parts are cut */
    size_t used;
};

void leat__json_path_name(struct leat_json_path *path, const char *name, size_t len);
void leat__json_path_index(struct leat_json_path *path, uint64_t index);
/* Puts "path: " before the message of `err`, if there is a path. */
void leat__json_path_finish(const struct leat_json_path *path, struct leat_error *err);
#endif
