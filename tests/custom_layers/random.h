// Random choices of the tests.
#pragma once

#include <vector>

// Numbers that are the same at every run.
class Random
{
public:
    explicit Random(unsigned seed) : state_(seed * 2654435761u + 1u) {}

    int integer(int low, int high)
    {
        state_ = state_ * 1664525u + 1013904223u;
        return low + (int)((state_ >> 10) % (unsigned)(high - low + 1));
    }
    int one_of(const std::vector<int>& values) { return values[integer(0, (int)values.size() - 1)]; }
    float number(float low, float high)
    {
        return low + (high - low) * integer(0, 1 << 20) / (float)(1 << 20);
    }

private:
    unsigned state_;
};
