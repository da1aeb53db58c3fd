#include "fir.h"

#include <math.h>

#include <algorithm>
#include <cmath>

namespace custom_layers
{

FirActivation::FirActivation() : limit(INFINITY) {}

bool FirActivation::identity() const { return positive == 1.f && negative == 1.f && limit == INFINITY; }

// Column and row of a filter that is their product up to the rounding of its values.
static bool separate(const std::vector<float>& full, int h, int w, std::vector<float>& column,
                     std::vector<float>& row)
{
    const auto pivot =
        std::max_element(full.begin(), full.end(), [](float a, float b) { return fabsf(a) < fabsf(b); });
    if (*pivot == 0.f || !std::isfinite(*pivot))
        return false;
    const int py = (int)(pivot - full.begin()) / w;
    const int px = (int)(pivot - full.begin()) % w;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            const double value = full[y * w + x];
            const double product = (double)full[y * w + px] * full[py * w + x] / *pivot;
            if (!(fabs(value - product) <= 4e-7 * fabs(value))) // also where either is NaN
                return false;
        }
    }
    for (int y = 0; y < h; y++)
        column[y] = full[y * w + px] / *pivot;
    for (int x = 0; x < w; x++)
        row[x] = full[py * w + x];
    return true;
}

void FirFilter::set(const float* values, int rows, int columns, bool flip, float gain)
{
    static const float one = 1.f;
    if (columns == 0)
        values = &one;
    const bool line = rows == 0 || columns == 0;
    w = std::max(columns, 1);
    h = line ? w : rows;
    full.resize((size_t)h * w);
    column.resize(h);
    row.resize(w);
    const auto tap = [flip](int k, int size) { return flip ? k : size - 1 - k; };
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            const float* at = values + tap(x, w);
            full[y * w + x] =
                (float)(line ? (double)*at * values[tap(y, h)] * gain : (double)at[tap(y, h) * w] * gain);
        }
    }
    if (line) {
        for (int k = 0; k < w; k++) {
            column[k] = values[tap(k, w)];
            row[k] = column[k] * gain;
        }
    }
    separable = line || separate(full, h, w, column, row);
    mirrored = true;
    for (int y = 0; y < h / 2; y++)
        mirrored = mirrored && std::equal(&full[y * w], &full[y * w] + w, &full[(h - 1 - y) * w]);
}

int64_t FirAxis::filtered(int n, int up_taps) const
{
    // Cropping from one side may not reach into the padding of the other: there is no such picture.
    if ((int64_t)n * up + std::min(before, 0) + std::min(after, 0) < 1)
        return 0;
    return (int64_t)n * up + before + after - (up_taps - 1);
}

int64_t FirAxis::output(int n, int up_taps, int down_taps) const
{
    const int64_t last = filtered(n, up_taps) - down_taps;
    return last < 0 ? 0 : last / down + 1;
}

void Fir::load_padding(ParamReader& reader, int top, int bottom, int left, int right)
{
    const int most = FirAxis::kMostPadding;
    y.before = reader.integer(top, "pad_top", 0, -most, most);
    y.after = reader.integer(bottom, "pad_bottom", 0, -most, most);
    x.before = reader.integer(left, "pad_left", 0, -most, most);
    x.after = reader.integer(right, "pad_right", 0, -most, most);
}

int FirSource::load_param(const ncnn::Layer& layer, ParamReader& reader, const char* name, int rows_id,
                          int columns_id)
{
    const std::string prefix = name;
    rows = reader.integer(rows_id, (prefix + "_h").c_str(), 0, 0, FirFilter::kMostTaps);
    columns = reader.integer(columns_id, (prefix + "_w").c_str(), 0, 0, FirFilter::kMostTaps);
    if (reader.status() != 0)
        return -1;
    if (rows > 0 && columns == 0)
        return fail(layer, "expects %s_w of 1 or more where %s_h is %d, got 0", name, name, rows);
    return 0;
}

int FirSource::load_model(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, bool flip,
                          float gain, FirFilter& filter) const
{
    ncnn::Mat values;
    if (load_values(layer, mb, name, rows == 0 ? columns : rows * columns, values) != 0)
        return -1;
    filter.set(values, rows, columns, flip, gain);
    return 0;
}

int load_values(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, int count,
                ncnn::Mat& values)
{
    if (count == 0)
        return 0;
    values = mb.load(count, 1);
    if (values.empty() || values.elembits() != 32)
        return fail(layer, "expects %d values of %s as float32 in the model file, got %s", count, name,
                    values.empty() ? "too few bytes" : "another type");
    return 0;
}

int load_or_zeros(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, bool present,
                  int count, ncnn::Mat& values)
{
    if (present)
        return load_values(layer, mb, name, count, values);
    values.create(count);
    if (values.empty())
        return -1;
    values.fill(0.f);
    return 0;
}

int load_tagged(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, int count,
                ncnn::Mat& values)
{
    values = mb.load(count, 0);
    if (!values.empty() && values.elembits() == 32)
        return 0;
    const char* got = values.empty() ? "too few bytes" : "another type";
    values.release();
    return fail(layer, "expects %d values of %s as float32 or float16 in the model file, got %s", count, name,
                got);
}

int Fir::run(const ncnn::Layer& layer, const ncnn::Mat& image, const float* bias, ncnn::Mat& top,
             const ncnn::Option& opt) const
{
    return run(layer, image, bias, top, opt, fir_kernels()[0]);
}

int Fir::run(const ncnn::Layer& layer, const ncnn::Mat& image, const float* bias, ncnn::Mat& top,
             const ncnn::Option& opt, const FirKernels* kernels) const
{
    if (image.dims != 3)
        return fail(layer, "expects [C, H, W], got %s", shape_string(image).c_str());
    const int64_t outh = y.output(image.h, up.h, down.h);
    const int64_t outw = x.output(image.w, up.w, down.w);
    // Positions in the filtered image have to fit an int, with room for a tile.
    const int64_t most = INT_MAX / 4;
    if (outh < 1 || outw < 1 || y.filtered(image.h, up.h) > most || x.filtered(image.w, up.w) > most)
        return fail(
            layer,
            "an output of [%d, %lld, %lld] is impossible: too little padding, or too large, for x of %s",
            outer_size(image), (long long)outh, (long long)outw, shape_string(image).c_str());
    top.create((int)outw, (int)outh, image.c, image.elemsize, image.elempack, opt.blob_allocator);
    if (top.empty())
        return fail(layer, "out of memory for [%d, %lld, %lld]", outer_size(image), (long long)outh,
                    (long long)outw);

    int ret = kernels ? run_fir_tiles(*this, *kernels, image, bias, top, opt) : 1;
    if (ret == 1)
        ret = run_scalar(image, bias, top, opt);
    return ret == 0 ? 0 : fail(layer, "out of memory for %s", shape_string(image).c_str());
}

// The definition. Sums in double: this form is also what the fast one is compared with.
int Fir::run_scalar(const ncnn::Mat& image, const float* bias, ncnn::Mat& top, const ncnn::Option& opt) const
{
    ncnn::Mat plane((int)x.filtered(image.w, up.w), (int)y.filtered(image.h, up.h), 4u,
                    opt.workspace_allocator);
    if (plane.empty())
        return -1;
    const int pack = image.elempack;
    for (int c = 0; c < image.c * pack; c++) {
        const float* from = (const float*)image.data + image.cstep * (c / pack) * pack + c % pack;
        float* to = (float*)top.data + top.cstep * (c / pack) * pack + c % pack;
        const float b = bias ? bias[c] : 0.f;

#pragma omp parallel for num_threads(opt.num_threads)
        for (int q = 0; q < plane.h; q++) {
            for (int r = 0; r < plane.w; r++) {
                double sum = 0;
                for (int ky = y.first_tap(q); ky < up.h; ky += y.up) {
                    for (int kx = x.first_tap(r); kx < up.w; kx += x.up) {
                        const int i = y.pixel(q, ky);
                        const int j = x.pixel(r, kx);
                        if (i < 0 || j < 0 || i >= image.h || j >= image.w)
                            continue;
                        const float v = from[((size_t)i * image.w + j) * pack] + b;
                        sum += (double)up.full[ky * up.w + kx] * v;
                    }
                }
                plane.row(q)[r] = activate(activation, (float)sum);
            }
        }

#pragma omp parallel for num_threads(opt.num_threads)
        for (int i = 0; i < top.h; i++) {
            for (int j = 0; j < top.w; j++) {
                double sum = 0;
                for (int ky = 0; ky < down.h; ky++) {
                    for (int kx = 0; kx < down.w; kx++)
                        sum +=
                            (double)down.full[ky * down.w + kx] * plane.row(i * y.down + ky)[j * x.down + kx];
                }
                to[((size_t)i * top.w + j) * pack] = (float)sum;
            }
        }
    }
    return 0;
}

} // namespace custom_layers
