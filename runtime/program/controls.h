// What moves, blends and turns a picture: the arguments KEY=VALUE, which are those of `python -m
// runtime.run`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stylegan
{

struct Range {
    int first, last; // both ends; either may be larger than any network has styles
};

// Of blend=: what these styles take of further seeds. parts: the seed's place, from 1, and how much.
struct Piece {
    Range styles;
    std::vector<std::pair<int, double>> parts;
};

// Of edit=: how far along direction `number` of a file.
struct Edit {
    std::string path;
    int number;
    float far;
};

struct Controls {
    std::vector<Piece> blend;
    std::vector<std::pair<int, float>> move; // along the directions of the network's weights
    std::vector<Range> move_styles, layers;  // empty: the default
    std::vector<Edit> edit;
    std::optional<float> rotate, zoom; // degrees counterclockwise; how much larger
    std::optional<std::pair<float, float>> translate;

    bool moves() const { return !move.empty() || !edit.empty(); }
    bool turns() const { return rotate || translate || zoom; }

    // What rotate, translate and zoom ask for, [3, 3] row by row: where the network looks a pixel up.
    std::vector<float> transform() const;
};

// Whether a word is KEY=VALUE of one of these keys.
bool is_control(const std::string& word);

// Raises a Fault (option) for a key that comes twice, and a value that its key does not take.
Controls parse_controls(const std::vector<std::string>& words);

// The styles of some ranges, rising, each once; raises a Fault (option) that names `key` for one that is not
// below num_ws.
std::vector<int> styles_of(const char* key, const std::vector<Range>& ranges, int num_ws);

} // namespace stylegan
