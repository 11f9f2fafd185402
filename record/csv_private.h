/* record/csv_private.h -- rules that the CSV files share. */
#ifndef LEAT_RECORD_CSV_PRIVATE_H
#define LEAT_RECORD_CSV_PRIVATE_H
#include "record/csv.h"

/* Bytes behind which a quote is an ordinary character; csv.h says why. */
static inline bool csv_is_wordy(char c)
{
    const unsigned char u = (unsigned char)c;
    return (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u == ' ' ||
        u >= 0x80;
}

static inline bool csv_can_separate(char c)
{
    return c == '\t' || (c > ' ' && c < 0x7f && c != '"' && !csv_is_wordy(c));
}
#endif
