// numpy's numbers: those of numpy.random.RandomState(seed).randn(), the same in every version of numpy.
#pragma once

#include <cstdint>

namespace runtime
{

// RandomState(seed): the Mersenne Twister MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998), and
// Marsaglia's polar method on doubles of 53 bits.
class RandomState
{
public:
    explicit RandomState(uint32_t seed);

    // The next number of randn().
    double normal();

private:
    uint32_t word();
    double uniform(); // in [0, 1)

    uint32_t state[624];
    int place = 624;
    bool has_spare = false;
    double spare = 0;
};

} // namespace runtime
