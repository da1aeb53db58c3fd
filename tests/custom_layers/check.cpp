#include "check.h"

#include <custom_layers/error.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace
{
struct Test {
    const char* group;
    const char* name;
    std::function<void()> body;
};

std::vector<Test>& tests()
{
    static std::vector<Test> all;
    return all;
}

int checks = 0;
int failures = 0;
int cases = 0; // of the test that runs
} // namespace

TestRegistrar::TestRegistrar(const char* group, const char* name, std::function<void()> body)
{
    tests().push_back({group, name, std::move(body)});
}

bool check(bool ok, const char* format, ...)
{
    checks++;
    if (ok)
        return true;
    failures++;
    va_list args;
    va_start(args, format);
    printf("    FAILED: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    return false;
}

bool its_turn()
{
    static const char* const said = getenv("CUSTOM_LAYERS_EVERY");
    static const int every = said ? std::max(1, atoi(said)) : 1;
    return cases++ % every == 0;
}

std::string text(const char* format, ...)
{
    char buffer[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(buffer, sizeof(buffer), format, args);
    va_end(args);
    return buffer;
}

double difference(const ncnn::Mat& got, const ncnn::Mat& want)
{
    if (got.empty() || want.empty() || got.dims != want.dims || got.w != want.w || got.h != want.h ||
        got.d != want.d || got.c != want.c || got.elempack != 1 || want.elempack != 1)
        return INFINITY;
    double largest = 1.0;
    double worst = 0.0;
    for (int c = 0; c < got.c; c++) {
        const float* a = (const float*)got.data + got.cstep * c;
        const float* b = (const float*)want.data + want.cstep * c;
        for (int i = 0; i < got.w * got.h * got.d; i++) {
            if (std::isfinite(b[i]))
                largest = std::max(largest, (double)fabsf(b[i]));
            if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
                continue;
            const double apart = fabs((double)a[i] - b[i]);
            worst = std::isnan(apart) ? INFINITY : std::max(worst, apart);
        }
    }
    return worst / largest;
}

bool check_close(const ncnn::Mat& got, const ncnn::Mat& want, double tolerance, const std::string& what)
{
    const double apart = difference(got, want);
    return check(apart <= tolerance, "%s: got %s, expected %s; difference %g, tolerance %g", what.c_str(),
                 custom_layers::shape_string(got).c_str(), custom_layers::shape_string(want).c_str(), apart,
                 tolerance);
}

// Arguments: the groups to run; none: all.
int main(int argc, char** argv)
{
    int ran = 0;
    for (const Test& test : tests()) {
        bool wanted = argc < 2;
        for (int i = 1; i < argc; i++)
            wanted = wanted || strcmp(argv[i], test.group) == 0 ||
                     argv[i] == std::string(test.group) + "." + test.name;
        if (!wanted)
            continue;
        const int checks_before = checks;
        const int failures_before = failures;
        cases = 0;
        test.body();
        ran++;
        check(checks > checks_before, "the test checked nothing");
        printf("%s %s.%s (%d checks)\n", failures == failures_before ? "ok  " : "FAIL", test.group, test.name,
               checks - checks_before);
        fflush(stdout);
    }
    printf("%d tests, %d checks, %d failures\n", ran, checks, failures);
    return ran == 0 || failures != 0;
}
