/* tests/fuzz/replay.c -- runs a fuzz target over files and directories of inputs, in builds without
 * libFuzzer: what was once found stays mended. An input that fails ends the process, after its name was
 * printed. */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned inputs_count;

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    /* Exactly as large as the input: a sanitizer sees a read behind its end. */
    unsigned char *data = malloc(size ? size : 1);
    if (!file || !data || fread(data, 1, size, file) != size) {
        perror(path);
        return 1;
    }
    (void)fclose(file);
    (void)fprintf(stderr, "input %s\n", path);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    inputs_count++;
    return 0;
}

static int replay(const char *path)
{
    struct stat st;
    struct dirent **entries;
    if (stat(path, &st) < 0) {
        perror(path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path, (size_t)st.st_size);
    const int count = scandir(path, &entries, NULL, alphasort);
    int result = count < 0;
    for (int i = 0; i < count; i++) {
        char inner[4096];
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            result |= replay(inner);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return result;
}

int main(int argc, char **argv)
{
    const unsigned char nothing[1] = { 0 };
    int result = argc < 2;
    (void)LLVMFuzzerTestOneInput(nothing, 0);
    for (int i = 1; i < argc; i++)
        result |= replay(argv[i]);
    (void)printf("%u inputs\n", inputs_count);
    return result || inputs_count == 0;
}
