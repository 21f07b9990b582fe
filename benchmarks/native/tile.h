/* What a tile of environments is: what is stepped in one loop. */

#ifndef TILE_H
#define TILE_H

#include <stdint.h>

/* Environments in a tile: HeartPole's state, 8 KiB, and its draws, 4 to 6 KiB, stay in the first cache together. */
#ifndef TILE
#define TILE 256
#endif

enum { TERMINATED = 1, TRUNCATED = 2 };

struct Tile {
    /* One row a field: those of the environment's state, then the return and the length of the episode so far. */
    float (*state)[TILE];
    float time_limit;
    /* Results of the step: the reward, and TERMINATED and TRUNCATED or 0. */
    float reward[TILE] __attribute__((aligned(64)));
    uint32_t ended[TILE] __attribute__((aligned(64)));
};

#endif
