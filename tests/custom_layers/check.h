// The whole test framework: tests that register themselves, and checks that print what they were given.
#pragma once

#include <mat.h>

#include <functional>
#include <string>

struct TestRegistrar {
    TestRegistrar(const char* group, const char* name, std::function<void()> body);
};

#define TEST(group, name)                                                                                    \
    static void group##_##name();                                                                            \
    static const TestRegistrar group##_##name##_registrar(#group, #name, group##_##name);                    \
    static void group##_##name()

// Counts one check; prints the printf-style text when it does not hold.
bool check(bool ok, const char* format, ...) __attribute__((format(printf, 2, 3)));

// printf into a string.
std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Whether this case of a long sweep is run. Each is, unless the environment variable CUSTOM_LAYERS_EVERY is a
// number N, for emulators: then the first one of each test, and every Nth after it.
bool its_turn();

// Largest difference divided by the largest magnitude of `want` (or by 1 if that is smaller). Infinite when
// the shapes differ, or where only one of the two is NaN or they are different infinities.
double difference(const ncnn::Mat& got, const ncnn::Mat& want);

// check that difference(got, want) <= tolerance; `what` names the case with every argument.
bool check_close(const ncnn::Mat& got, const ncnn::Mat& want, double tolerance, const std::string& what);
