// The parameters of the custom layers' lines. ncnn's own layers ignore what they do not know, as ncnn does:
// newer tools may write more than this ncnn reads.
#include "checks.h"

#include <custom_layers/param_ids.h>

namespace runtime
{

// ncnn itself reads these two on every layer: the shapes of the outputs, and a mask of features.
static bool ncnns_own(int id) { return id == 30 || id == 31; }

void check_params(const LayerLine& layer)
{
    std::vector<std::string> known;
    std::map<int, const custom_layers::param::Declared*> rows;
    for (const auto& row : custom_layers::param::declared) {
        if (layer.type != row.type)
            continue;
        rows.emplace(row.id, &row);
        known.push_back(std::to_string(row.id) + " (" + row.name + ")");
    }
    for (const auto& [id, param] : layer.params) {
        if (ncnns_own(id))
            continue;
        const auto found = rows.find(id);
        if (found == rows.end())
            throw Fault(Kind::param, "no such parameter id for this layer")
                .wants(known.empty() ? "no parameters" : join(known))
                .has(std::to_string(id));
        const bool text = param.type == Param::Type::text;
        const bool array = param.type == Param::Type::integers || param.type == Param::Type::reals;
        if (text || array != found->second->array)
            throw Fault(Kind::param,
                        "parameter " + std::to_string(id) + " (" + found->second->name + ") has a bad value")
                .wants(found->second->array ? "an array of numbers" : "one number")
                .has(text    ? "text"
                     : array ? "an array"
                             : "one number");
    }
}

} // namespace runtime
