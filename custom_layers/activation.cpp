#include "activation.h"

#include "elementwise.h"

#include <math.h>

namespace custom_layers
{

int FusedActivation::load(const ncnn::Layer& layer, ParamReader& reader, int type_id, int numbers_id)
{
    type_ = reader.integer(type_id, "activation_type", 0, 0, 6);
    const ncnn::Mat numbers = reader.numbers(numbers_id, "activation_params");
    if (reader.status() != 0)
        return -1;
    const int expected = type_ == 2 ? 1 : type_ == 3 || type_ == 6 ? 2 : 0;
    if (numbers.w < expected)
        return fail(layer, "activation_type %d expects %d activation_params, got %d", type_, expected,
                    numbers.w);
    a_ = expected > 0 ? numbers[0] : 0.f;
    b_ = expected > 1 ? numbers[1] : 0.f;
    if (type_ == 6 && a_ == 0.f)
        return fail(layer, "activation_type 6 expects activation_params whose first is not 0");
    return 0;
}

void FusedActivation::apply(ncnn::Mat& blob, const ncnn::Option& opt) const
{
    const float a = a_;
    const float b = b_;
    switch (type_) {
    case 1:
        map_values(blob, opt, [](float v) { return v < 0.f ? 0.f : v; });
        break;
    case 2:
        map_values(blob, opt, [a](float v) { return v < 0.f ? v * a : v; });
        break;
    case 3:
        map_values(blob, opt, [a, b](float v) { return clamp_value(v, a, b); });
        break;
    case 4:
        map_values(blob, opt, [](float v) { return 1.f / (1.f + expf(-v)); });
        break;
    case 5:
        // Above 20, log(1 + e^v) is v and e^v would overflow soon.
        map_values(blob, opt, [](float v) { return v * tanhf(v > 20.f ? v : log1pf(expf(v))); });
        break;
    case 6:
        map_values(blob, opt, [a, b](float v) { return v * clamp_value(v * a + b, 0.f, 1.f); });
        break;
    default:
        break;
    }
}

} // namespace custom_layers
