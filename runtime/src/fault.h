// What goes wrong, as data. The bindings turn a Fault into the Python exception of its kind
// (runtime/errors.py).
#pragma once

#include <exception>
#include <string>
#include <vector>

namespace runtime
{

// One kind for each class in runtime/errors.py that C++ raises; module.cpp holds the names.
enum class Kind { param, weights, input, blob, layer, option };

class Fault : public std::exception
{
public:
    Fault(Kind kind, std::string text) : kind(kind), text(std::move(text)) {}
    const char* what() const noexcept override { return text.c_str(); }

    Fault& at(std::string path, int number = 0);
    Fault& in(std::string name, std::string type);
    Fault& wants(std::string value);
    Fault& has(std::string value);
    Fault& because(std::string value);
    Fault& remedy(std::string value);

    // All of it in one line, as str() of the Python exception.
    std::string message() const;

    Kind kind;
    std::string text; // the sentence; the rest is empty or 0 where it does not apply
    std::string file;
    int line = 0;
    std::string layer, layer_type;
    std::string expected, got, reason, fix;
};

// Up to three of `names` that look like `name`, nearest first.
std::vector<std::string> nearest(const std::string& name, const std::vector<std::string>& names);

std::string join(const std::vector<std::string>& parts, const char* separator = ", ");

// `name` in quotes; a name longer than 60 characters is cut, so that a message stays one line.
std::string quoted(const std::string& name);

std::string byte_count(size_t number);

} // namespace runtime
