/* tools/schema.h -- the command `leat schema`. */
#ifndef LEAT_TOOLS_SCHEMA_H
#define LEAT_TOOLS_SCHEMA_H
int leat__schema_main(int argc, char **argv);
#endif
