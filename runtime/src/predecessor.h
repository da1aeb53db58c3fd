// Files of the predecessor, which ran on an ncnn of its own. Its layers are called layer_00000000 and so on,
// and the axes of its Reductions never count the batch: today's ncnn wants `5=1` for that, and refuses the
// file without.
#pragma once

#include "param_text.h"

#include <string>
#include <vector>

namespace runtime
{

// The text with the `5=1`, on the very lines, where it is one of those files; the text itself where it is
// not. ncnn_builder/emit/predecessor.py asks the same of the names.
std::string as_today(const std::string& text, const std::vector<LayerLine>& lines);

} // namespace runtime
