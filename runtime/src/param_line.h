// The grammar of one layer's line in a .param file.
#pragma once

#include "fault.h"
#include "param_text.h"

namespace runtime
{

// A whole decimal int32; false for anything else.
bool parse_int(const std::string& token, int& value);

// Decimal digits with a point or an exponent, finite as float32, at most the 127 characters that ncnn scans;
// false for anything else.
bool parse_real(const std::string& token, float& value);

// Raises a Fault without file and line, which the caller adds.
LayerLine parse_layer_line(const std::string& line);

// Words between blanks.
std::vector<std::string> split_words(const std::string& line);

} // namespace runtime
