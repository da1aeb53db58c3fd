#include "normal.h"

#include <cmath>

namespace runtime
{

enum { kWords = 624, kMiddle = 397 };

RandomState::RandomState(uint32_t seed)
{
    for (uint32_t i = 0; i < kWords; i++) {
        state[i] = seed;
        seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
    }
}

uint32_t RandomState::word()
{
    if (place == kWords) {
        for (int i = 0; i < kWords; i++) {
            const uint32_t two = (state[i] & 0x80000000u) | (state[(i + 1) % kWords] & 0x7fffffffu);
            state[i] = state[(i + kMiddle) % kWords] ^ two >> 1 ^ (two & 1 ? 0x9908b0dfu : 0u);
        }
        place = 0;
    }
    uint32_t y = state[place++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double RandomState::uniform()
{
    const uint32_t high = word() >> 5, low = word() >> 6; // 27 and 26 bits
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

double RandomState::normal()
{
    if (has_spare) {
        has_spare = false;
        return spare;
    }
    double x, y, square;
    do {
        x = 2.0 * uniform() - 1.0;
        y = 2.0 * uniform() - 1.0;
        square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    const double factor = std::sqrt(-2.0 * std::log(square) / square);
    spare = factor * x;
    has_spare = true;
    return factor * y;
}

} // namespace runtime
