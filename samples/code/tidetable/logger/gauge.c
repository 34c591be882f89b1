/* SPDX-License-Identifier: MIT */
/* The program in the gauge hut: averages the sensor over a minute and writes a checked line. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "crc_table.h"

#define SAMPLES_PER_MINUTE 60
#define LINE_LENGTH 64

struct gauge {
    int32_t sum_mm;
    int count;
    int rejected;
};

static uint8_t crc8(const char *text, size_t length)
{
    uint8_t crc = 0;
    for (size_t i = 0; i < length; i++)
        crc = crc_table[crc ^ (uint8_t)text[i]];
    return crc;
}

/* A wave can lift the float by a metre within a second; a loose wire can do more. */
static int plausible(int32_t mm)
{
    return mm > -5000 && mm < 20000;
}

void gauge_add(struct gauge *g, int32_t mm)
{
    if (!plausible(mm)) {
        g->rejected++;
        return;
    }
    g->sum_mm += mm;
    g->count++;
}

/* Writes "TIME LEVEL COUNT*CRC" and starts the next minute. Returns 0, or -1 when too few samples
 * were good for an average that means anything. */
int gauge_flush(struct gauge *g, const char *time, FILE *out)
{
    char line[LINE_LENGTH];
    int enough = g->count >= SAMPLES_PER_MINUTE / 2;

    if (enough) {
        int length = snprintf(line, sizeof line, "%s %ld %d", time,
                              (long)(g->sum_mm / g->count), g->count);
        if (length < 0 || length >= (int)sizeof line)
            return -1;
        fprintf(out, "%s*%02X\n", line, crc8(line, (size_t)length));
        fflush(out);
    }
    memset(g, 0, sizeof *g);
    return enough ? 0 : -1;
}
