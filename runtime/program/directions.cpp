#include "directions.h"

#include "factorisation.h"

#include <runtime/src/fault.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

std::map<std::string, DirectionFile> read_directions(const std::vector<Edit>& edits)
{
    std::map<std::string, DirectionFile> files;
    for (const Edit& edit : edits)
        if (!files.count(edit.path))
            for (auto& [name, array] : read_arrays(edit.path, {"directions", "styles"}))
                files[edit.path].emplace(name, std::move(array));
    return files;
}

static std::vector<int> every(int num_ws)
{
    std::vector<int> styles((size_t)num_ws);
    std::iota(styles.begin(), styles.end(), 0);
    return styles;
}

static Fault no_such(const char* key, size_t count, int number)
{
    return Fault(Kind::option, std::string(key) + "= asks for a direction that there is not")
        .wants("0 to " + std::to_string(count - 1))
        .has(std::to_string(number));
}

// The styles that a file names, each once.
static std::vector<int> styles_in(const Array& array, int num_ws)
{
    if (array.kind == 'f' || array.shape.size() != 1)
        throw Fault(Kind::input, "its styles are no list of whole numbers").has(array.text());
    std::vector<int> styles;
    for (float value : array.values) {
        if (!(value >= 0 && value < (float)num_ws))
            throw Fault(Kind::input, "the file moves styles that the model has not")
                .wants("0 to " + std::to_string(num_ws - 1));
        styles.push_back((int)value);
    }
    std::sort(styles.begin(), styles.end());
    styles.erase(std::unique(styles.begin(), styles.end()), styles.end());
    return styles;
}

// Adds one direction of a file.
static void add(std::vector<float>& total, const Edit& edit, const DirectionFile& file,
                const std::vector<Range>& layers, int num_ws, int w_dim)
{
    const Array& array = file.at("directions");
    std::vector<size_t> shape = array.shape;
    if (shape.size() == 2)
        shape.insert(shape.begin() + 1, 1);
    const bool fits = array.kind == 'f' && shape.size() == 3 && shape[0] > 0 &&
                      (shape[1] == 1 || shape[1] == (size_t)num_ws) && shape[2] == (size_t)w_dim;
    if (!fits) {
        const std::string w = std::to_string(w_dim), ws = std::to_string(num_ws);
        throw Fault(Kind::input, "not directions of this model")
            .wants("floats of [K, " + w + "] or [K, " + ws + ", " + w + "]")
            .has(array.text());
    }
    for (float value : array.values)
        if (!std::isfinite(value))
            throw Fault(Kind::input, "the directions hold numbers that are NaN, infinite or too large");
    const auto own = file.find("styles");
    std::vector<int> styles = every(num_ws);
    if (own != file.end()) // wrong also where layers= says others
        styles = styles_in(own->second, num_ws);
    if (!layers.empty())
        styles = styles_of("layers", layers, num_ws);
    if (edit.number >= (int)shape[0])
        throw no_such("edit", shape[0], edit.number);
    for (int style : styles) {
        const size_t row = (size_t)edit.number * shape[1] + (shape[1] == 1 ? 0 : (size_t)style);
        for (int k = 0; k < w_dim; k++)
            total[(size_t)style * w_dim + k] += edit.far * array.values[row * w_dim + k];
    }
}

std::vector<float> movement(const Controls& controls, const std::map<std::string, DirectionFile>& files,
                            const Generator& generator, int w_dim)
{
    const int num_ws = generator.styles();
    const size_t size = (size_t)num_ws * w_dim;
    std::vector<float> moved(size, 0.f), edited(size, 0.f);
    if (!controls.move.empty()) {
        const std::vector<int> styles = controls.move_styles.empty()
                                            ? every(num_ws)
                                            : styles_of("move_styles", controls.move_styles, num_ws);
        const std::vector<std::vector<float>> found = directions(generator, styles, w_dim);
        for (const auto& [number, far] : controls.move) {
            if (number >= (int)found.size())
                throw no_such("move", found.size(), number);
            for (int style : styles)
                for (int k = 0; k < w_dim; k++)
                    moved[(size_t)style * w_dim + k] += far * found[(size_t)number][(size_t)k];
        }
    }
    for (const Edit& edit : controls.edit) {
        try {
            add(edited, edit, files.at(edit.path), controls.layers, num_ws, w_dim);
        } catch (Fault& fault) {
            throw fault.at(edit.path);
        }
    }
    for (size_t i = 0; i < size; i++)
        moved[i] += edited[i];
    return moved;
}

} // namespace stylegan
