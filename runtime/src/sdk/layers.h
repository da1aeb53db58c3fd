// Layers of your own for Python's runtime.Net: a library that says which ones it has.
//
//     class Median : public ncnn::Layer { ... };
//     NCNN_BUILDER_LAYERS(ncnn_builder::layer<Median>("Median"))
//
// and in its CMakeLists.txt
//
//     find_package(ncnn_builder_layers REQUIRED) # -DCMAKE_PREFIX_PATH=$(python -m runtime.sdk)
//     ncnn_builder_add_layers(median median.cpp)
//
// The classes are plain ncnn layers: a program in C++ gives them to ncnn::Net::register_custom_layer().
#pragma once

#include <layer.h>
#include <platform.h>

#include <stddef.h>
#include <string>

namespace ncnn_builder
{

// A type of layers: its name in the param file, and who makes and destroys one.
struct Entry {
    const char* type;
    ncnn::layer_creator_func create;
    ncnn::layer_destroyer_func destroy;
};

template <class T> Entry layer(const char* type)
{
    return {type, [](void*) -> ncnn::Layer* { return new T; }, [](ncnn::Layer* l, void*) { delete l; }};
}

// What a library gives. Its function's name has the number of this struct's version.
struct Library {
    const char* built_with; // that of built_with(), when the library was compiled
    const Entry* entries;
    size_t count;
};

// What has to be the same on both sides, as objects of ncnn and of the C++ library go from one to the other.
inline std::string built_with()
{
    const struct {
        const char* name;
        size_t number;
    } facts[] = {
        {"Vulkan", NCNN_VULKAN},
        {"bf16", NCNN_BF16},
        {"strings", NCNN_STRING},
        {"sizes of Layer", sizeof(ncnn::Layer)},
        {"Mat", sizeof(ncnn::Mat)},
        {"Option", sizeof(ncnn::Option)},
        {"ParamDict", sizeof(ncnn::ParamDict)},
        {"std::string", sizeof(std::string)},
        {"void*", sizeof(void*)},
    };
    std::string text = "ncnn " NCNN_VERSION_STRING;
    for (const auto& fact : facts)
        text += std::string(", ") + fact.name + " " + std::to_string(fact.number);
    return text;
}

} // namespace ncnn_builder

#if defined(_WIN32)
#define NCNN_BUILDER_EXPORTED __declspec(dllexport)
#else
#define NCNN_BUILDER_EXPORTED __attribute__((visibility("default")))
#endif

// Once in a library, behind the classes.
#define NCNN_BUILDER_LAYERS(...)                                                                             \
    extern "C" NCNN_BUILDER_EXPORTED const void* ncnn_builder_layers_1()                                     \
    {                                                                                                        \
        static const std::string built_with = ncnn_builder::built_with();                                    \
        static const ncnn_builder::Entry entries[] = {__VA_ARGS__};                                          \
        static const ncnn_builder::Library library = {built_with.c_str(), entries,                           \
                                                      sizeof(entries) / sizeof(entries[0])};                 \
        return &library;                                                                                     \
    }
