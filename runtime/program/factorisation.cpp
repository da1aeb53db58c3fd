#include "factorisation.h"

#include <runtime/src/fault.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

// A is made tridiagonal by reflections (Householder), and that diagonal by rotations (QR steps with
// Wilkinson's shift: Golub and Van Loan, Matrix Computations, 8.3).
std::vector<std::vector<double>> eigenvectors(std::vector<double> a, int n, int most)
{
    const auto at = [&](int i, int k) -> double& { return a[(size_t)i * n + k]; };
    std::vector<std::vector<double>> reflections; // of unit length; entries 0..k are zero
    std::vector<double> product((size_t)n);
    for (int k = 0; k + 2 < n; k++) {
        std::vector<double> v((size_t)n, 0.);
        double square = 0;
        for (int i = k + 1; i < n; i++)
            square += (v[(size_t)i] = at(i, k)) * at(i, k);
        v[(size_t)k + 1] += std::copysign(std::sqrt(square), v[(size_t)k + 1]);
        double length = 0;
        for (int i = k + 1; i < n; i++)
            length += v[(size_t)i] * v[(size_t)i];
        if (length > 0) {
            length = std::sqrt(length);
            for (double& x : v)
                x /= length;
            double dot = 0;
            for (int i = k; i < n; i++) {
                double sum = 0;
                for (int j = k + 1; j < n; j++)
                    sum += at(i, j) * v[(size_t)j];
                product[(size_t)i] = sum;
                dot += sum * v[(size_t)i];
            }
            for (int i = k; i < n; i++)
                product[(size_t)i] -= dot * v[(size_t)i];
            for (int i = k; i < n; i++)
                for (int j = k; j < n; j++)
                    at(i, j) -= 2 * (v[(size_t)i] * product[(size_t)j] + product[(size_t)i] * v[(size_t)j]);
        }
        reflections.push_back(std::move(v));
    }

    std::vector<double> diagonal((size_t)n), beside((size_t)n, 0.);
    for (int i = 0; i < n; i++) {
        diagonal[(size_t)i] = at(i, i);
        if (i + 1 < n)
            beside[(size_t)i] = at(i + 1, i);
    }
    std::vector<std::vector<double>> vectors((size_t)n, std::vector<double>((size_t)n, 0.));
    for (int i = 0; i < n; i++)
        vectors[(size_t)i][(size_t)i] = 1;
    const auto negligible = [&](int i) {
        const double whole = std::abs(diagonal[(size_t)i]) + std::abs(diagonal[(size_t)i + 1]);
        return std::abs(beside[(size_t)i]) <= 1e-16 * whole || beside[(size_t)i] == 0;
    };
    for (int end = n - 1, steps = 0; end > 0;) {
        if (negligible(end - 1)) {
            beside[(size_t)end - 1] = 0;
            end--;
            steps = 0;
            continue;
        }
        if (++steps > 100)
            throw Fault(Kind::input, "the directions of these weights cannot be computed");
        int start = end - 1;
        while (start > 0 && !negligible(start - 1))
            start--;
        const double half = (diagonal[(size_t)end - 1] - diagonal[(size_t)end]) / 2,
                     b = beside[(size_t)end - 1];
        const double shift =
            diagonal[(size_t)end] - b * b / (half + std::copysign(std::hypot(half, b), half));
        double x = diagonal[(size_t)start] - shift, z = beside[(size_t)start];
        for (int k = start; k < end; k++) {
            const double length = std::hypot(x, z), c = length > 0 ? x / length : 1,
                         s = length > 0 ? z / length : 0;
            if (k > start)
                beside[(size_t)k - 1] = length;
            const double p = diagonal[(size_t)k], q = diagonal[(size_t)k + 1], e = beside[(size_t)k];
            diagonal[(size_t)k] = c * c * p + 2 * c * s * e + s * s * q;
            diagonal[(size_t)k + 1] = s * s * p - 2 * c * s * e + c * c * q;
            beside[(size_t)k] = c * s * (q - p) + (c * c - s * s) * e;
            if (k + 1 < end) {
                x = beside[(size_t)k];
                z = s * beside[(size_t)k + 1];
                beside[(size_t)k + 1] *= c;
            }
            double *const one = vectors[(size_t)k].data(), *const other = vectors[(size_t)k + 1].data();
            for (int i = 0; i < n; i++) {
                const double kept = one[i];
                one[i] = c * kept + s * other[i];
                other[i] = c * other[i] - s * kept;
            }
        }
    }

    std::vector<int> order((size_t)n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int i, int k) { return diagonal[(size_t)i] > diagonal[(size_t)k]; });
    std::vector<std::vector<double>> sorted;
    for (int place : order) {
        if ((int)sorted.size() == most)
            break;
        std::vector<double> vector = std::move(vectors[(size_t)place]);
        for (auto v = reflections.rbegin(); v != reflections.rend(); ++v) {
            double dot = 0;
            for (int i = 0; i < n; i++)
                dot += (*v)[(size_t)i] * vector[(size_t)i];
            for (int i = 0; i < n; i++)
                vector[(size_t)i] -= 2 * dot * (*v)[(size_t)i];
        }
        sorted.push_back(std::move(vector));
    }
    return sorted;
}

// The weights are not looked up in the files, which differ from target to target: the affine layers are run
// on unit vectors. Rows of [outputs, w_dim], of all that read one of the styles.
static std::vector<std::vector<double>> weights_of(const Generator& generator, const std::vector<int>& styles,
                                                   int w_dim)
{
    using Outputs = std::vector<std::vector<float>>; // of each affine layer
    const int num_ws = generator.styles();
    const auto outputs = [&](const std::vector<float>& row, int style) {
        Style ws{std::vector<float>((size_t)num_ws * w_dim, 0.f), num_ws};
        for (int i = 0; i < num_ws; i++)
            if (style < 0 || style == i)
                std::copy(row.begin(), row.end(), ws.values.begin() + (size_t)i * w_dim);
        return generator.affine_outputs(ws);
    };
    const Outputs zero = outputs(std::vector<float>((size_t)w_dim, 0.f), -1);
    std::vector<float> rising((size_t)w_dim);
    for (int i = 0; i < w_dim; i++)
        rising[(size_t)i] = w_dim > 1 ? 1 + (float)i / (float)(w_dim - 1) : 1;
    std::vector<size_t> readers;
    for (int style : styles) {
        const Outputs made = outputs(rising, style);
        for (size_t blob = 0; blob < zero.size(); blob++)
            if (made[blob] != zero[blob])
                readers.push_back(blob);
    }
    std::vector<std::vector<std::vector<double>>> columns(zero.size()); // [blob][output][w_dim]
    for (size_t blob = 0; blob < zero.size(); blob++)
        columns[blob].assign(zero[blob].size(), std::vector<double>((size_t)w_dim));
    for (int k = 0; k < w_dim; k++) {
        std::vector<float> unit((size_t)w_dim, 0.f);
        unit[(size_t)k] = 1;
        const Outputs made = outputs(unit, -1);
        for (size_t blob = 0; blob < zero.size(); blob++)
            for (size_t i = 0; i < zero[blob].size(); i++)
                columns[blob][i][(size_t)k] = made[blob].at(i) - zero[blob][i];
    }
    std::vector<std::vector<double>> rows;
    for (size_t blob : readers)
        rows.insert(rows.end(), columns[blob].begin(), columns[blob].end());
    return rows;
}

std::vector<std::vector<float>> directions(const Generator& generator, const std::vector<int>& styles,
                                           int w_dim)
{
    const int most = 16, longest = 2048;
    if (w_dim > longest)
        throw Fault(Kind::input, "the styles are too long for move=")
            .wants("at most " + std::to_string(longest) + " numbers")
            .has(std::to_string(w_dim))
            .remedy("edit= takes directions of a file");
    const std::vector<std::vector<double>> rows = weights_of(generator, styles, w_dim);
    if (rows.empty())
        throw Fault(Kind::input, "no layer reads these styles, so they have no directions");
    std::vector<double> square((size_t)w_dim * w_dim, 0.);
    for (const std::vector<double>& row : rows) {
        double length = 0;
        for (double x : row)
            length += x * x;
        if (!std::isfinite(length))
            throw Fault(Kind::input, "the weights of the affine layers are not finite");
        length = std::max(std::sqrt(length), 1e-12);
        for (int i = 0; i < w_dim; i++) {
            const double part = row[(size_t)i] / length / length;
            for (int k = 0; k < w_dim; k++)
                square[(size_t)i * w_dim + k] += part * row[(size_t)k];
        }
    }
    std::vector<std::vector<float>> found;
    for (const std::vector<double>& vector : eigenvectors(std::move(square), w_dim, most)) {
        const auto largest = std::max_element(vector.begin(), vector.end(),
                                              [](double x, double y) { return std::abs(x) < std::abs(y); });
        const double sign = *largest < 0 ? -1 : 1;
        found.emplace_back();
        for (double x : vector)
            found.back().push_back((float)(sign * x));
    }
    return found;
}

} // namespace stylegan
