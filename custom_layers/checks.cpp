#include "checks.h"

#include <cpu.h>

namespace custom_layers
{

static std::string range_string(int low, int high)
{
    if (low == high)
        return std::to_string(low);
    return std::to_string(low) + (high == low + 1 ? " or " : " to ") + std::to_string(high);
}

int check_io(const ncnn::Layer& layer, int min_in, int max_in, int min_out, int max_out)
{
    if (layer.bottoms.empty() && layer.tops.empty())
        return 0;
    const int in = (int)layer.bottoms.size();
    const int out = (int)layer.tops.size();
    if (in < min_in || in > max_in)
        return fail(layer, "expects %s inputs, got %d", range_string(min_in, max_in).c_str(), in);
    if (out < min_out || out > max_out)
        return fail(layer, "expects %s outputs, got %d", range_string(min_out, max_out).c_str(), out);
    return 0;
}

int check_blob(const ncnn::Layer& layer, const ncnn::Mat& blob)
{
    if (blob.empty() || blob.dims < 1 || blob.dims > 4)
        return fail(layer, "expects a blob with values, got %s", shape_string(blob).c_str());
    if (blob.elembits() != 32)
        return fail(layer, "expects float32, got %d bits per value in %s", blob.elembits(),
                    shape_string(blob).c_str());
    const int pack = blob.elempack;
    if (pack != 1 && !layer.support_packing)
        return fail(layer, "expects an unpacked blob, got %d values per element in %s", pack,
                    shape_string(blob).c_str());
    if (pack != 1 && pack != 4 && pack != 8 && pack != 16)
        return fail(layer, "expects 1, 4, 8 or 16 values per element, got %d in %s", pack,
                    shape_string(blob).c_str());
    return 0;
}

int check_blobs(const ncnn::Layer& layer, const std::vector<ncnn::Mat>& blobs, int min_in, int max_in)
{
    const int count = (int)blobs.size();
    if (count < min_in || count > max_in)
        return fail(layer, "expects %s inputs, got %d: %s", range_string(min_in, max_in).c_str(), count,
                    shape_string(blobs).c_str());
    for (const ncnn::Mat& blob : blobs) {
        if (check_blob(layer, blob) != 0)
            return -1;
    }
    return 0;
}

int best_packing(int channels, const ncnn::Option& opt)
{
    if (!opt.use_packing_layout)
        return 1;
    if (channels % 16 == 0 && ncnn::cpu_support_x86_avx512())
        return 16;
    if (channels % 8 == 0 && ncnn::cpu_support_x86_avx())
        return 8;
    return channels % 4 == 0 ? 4 : 1;
}

ncnn::Mat flatten(const ncnn::Mat& m, const ncnn::Option& opt)
{
    ncnn::Mat unpacked = m;
    if (m.elempack != 1)
        ncnn::convert_packing(m, unpacked, 1, helper_option(opt));
    if (unpacked.empty())
        return unpacked;
    return unpacked.reshape((int)value_count(unpacked), opt.workspace_allocator);
}

ncnn::Option helper_option(const ncnn::Option& opt)
{
    ncnn::Option helper = opt;
    helper.blob_allocator = opt.workspace_allocator;
    helper.use_fp16_packed = false;
    helper.use_fp16_storage = false;
    helper.use_fp16_arithmetic = false;
    helper.use_bf16_packed = false;
    helper.use_bf16_storage = false;
    helper.use_vulkan_compute = false;
    return helper;
}

// ncnn's ParamDict::type: 0 absent, 1 number of unknown kind (binary param file), 2 int, 3 float,
// 4 array of unknown kind, 5 int array, 6 float array, 7 string. Its getters answer a value of the wrong type
// with the default, without a word.
int ParamReader::integer(int id, const char* name, int fallback, int low, int high)
{
    const int type = params_.type(id);
    if (type > 2) {
        status_ = status_ ? status_ : fail(layer_, "parameter %d (%s) expects an integer", id, name);
        return fallback;
    }
    const int value = params_.get(id, fallback);
    if ((value < low || value > high) && status_ == 0) {
        if (high == INT_MAX)
            status_ = fail(layer_, "parameter %d (%s) expects %d or more, got %d", id, name, low, value);
        else
            status_ = fail(layer_, "parameter %d (%s) expects %s, got %d", id, name,
                           range_string(low, high).c_str(), value);
    }
    return value;
}

float ParamReader::number(int id, const char* name, float fallback)
{
    const int type = params_.type(id);
    const float value = params_.get(id, fallback);
    if ((type > 3 || value != value) && status_ == 0)
        status_ = fail(layer_, "parameter %d (%s) expects a number", id, name);
    return value;
}

ncnn::Mat ParamReader::numbers(int id, const char* name)
{
    const int type = params_.type(id);
    if (type == 0 || type >= 4) {
        ncnn::Mat values = params_.get(id, ncnn::Mat());
        if (type == 5 && !values.empty()) {
            values = values.clone();
            const int* integers = values;
            for (int i = 0; i < values.w; i++)
                values[i] = (float)integers[i];
        }
        if (type != 7)
            return values;
    }
    status_ = status_ ? status_ : fail(layer_, "parameter %d (%s) expects an array of numbers", id, name);
    return ncnn::Mat();
}

} // namespace custom_layers
