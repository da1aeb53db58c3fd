// Words of messages between processes of one machine: numbers as they are in memory, text with its length.
#pragma once

#include "fault.h"

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace runtime
{

class Writer
{
public:
    Writer& number(uint64_t value)
    {
        bytes.append((const char*)&value, sizeof(value));
        return *this;
    }
    Writer& text(const std::string& value)
    {
        number(value.size());
        bytes += value;
        return *this;
    }
    Writer& texts(const std::vector<std::string>& values)
    {
        number(values.size());
        for (const std::string& value : values)
            text(value);
        return *this;
    }
    Writer& fault(const Fault& fault)
    {
        number((uint64_t)fault.kind).number((uint64_t)fault.line);
        for (const std::string* part : {&fault.text, &fault.file, &fault.layer, &fault.layer_type,
                                        &fault.expected, &fault.got, &fault.reason, &fault.fix})
            text(*part);
        return *this;
    }

    std::string bytes;
};

class Reader
{
public:
    explicit Reader(std::string bytes) : bytes(std::move(bytes)) {}
    uint64_t number()
    {
        uint64_t value = 0;
        memcpy(&value, take(sizeof(value)), sizeof(value));
        return value;
    }
    std::string text()
    {
        const uint64_t size = number();
        return std::string(take(size), (size_t)size);
    }

private:
    const char* take(uint64_t size)
    {
        if (size > bytes.size() - position)
            throw std::runtime_error("a message ends too early");
        position += (size_t)size;
        return bytes.data() + position - size;
    }

    std::string bytes;
    size_t position = 0;
};

} // namespace runtime
