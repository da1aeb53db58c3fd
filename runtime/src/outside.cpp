#include "outside.h"

#include "fault.h"
#include "fork_mutex.h"
#include "sdk/layers.h"

#include <custom_layers/register_all.h>

#include <algorithm>
#include <mutex>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace runtime
{

namespace
{

struct Loaded {
    std::filesystem::path path;
    void* handle;
    const ncnn_builder::Library* library;
};

// Never destroyed: nets may outlive what is static.
ForkMutex& lock()
{
    static ForkMutex* const only = new ForkMutex;
    return *only;
}

std::vector<Loaded>& all()
{
    static std::vector<Loaded>* const only = new std::vector<Loaded>;
    return *only;
}

#if defined(_WIN32)
void* opened(const std::filesystem::path& path, std::string& reason)
{
    HMODULE const handle = LoadLibraryW(path.c_str());
    if (!handle)
        reason = "Windows error " + std::to_string(GetLastError());
    return (void*)handle;
}

void closed(void* handle) { FreeLibrary((HMODULE)handle); }

void* found(void* handle, const char* name) { return (void*)GetProcAddress((HMODULE)handle, name); }
#else
void* opened(const std::filesystem::path& path, std::string& reason)
{
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        reason = dlerror();
    return handle;
}

void closed(void* handle) { dlclose(handle); }

void* found(void* handle, const char* name) { return dlsym(handle, name); }
#endif

std::vector<std::string> types_of(const ncnn_builder::Library& library)
{
    std::vector<std::string> types;
    for (size_t i = 0; i < library.count; i++)
        types.push_back(library.entries[i].type);
    return types;
}

const Loaded* with_type(const std::string& type)
{
    for (const Loaded& each : all())
        for (size_t i = 0; i < each.library->count; i++)
            if (type == each.library->entries[i].type)
                return &each;
    return nullptr;
}

// Raises a Fault unless the library is one for this runtime, and brings types that are new.
const ncnn_builder::Library& checked(void* handle)
{
    const auto given = (const void* (*)())found(handle, "ncnn_builder_layers_1");
    if (!given)
        throw Fault(Kind::option, "the library has no list of layers for this version of the runtime")
            .wants("NCNN_BUILDER_LAYERS(...) of <ncnn_builder/layers.h> in one of its sources")
            .remedy("`python -m runtime.sdk` says where this runtime's header is");
    const auto& library = *(const ncnn_builder::Library*)given();
    const std::string ours = ncnn_builder::built_with();
    if (library.built_with != ours)
        throw Fault(Kind::option,
                    "the library was built with another ncnn, or another C++ library, than this runtime")
            .wants(ours)
            .has(library.built_with)
            .remedy("Build it anew with -DCMAKE_PREFIX_PATH=$(python -m runtime.sdk), without -Dncnn_DIR of"
                    " another one");
    size_t count = 0;
    const char* const* names = custom_layers::layer_names(&count);
    std::vector<std::string> types = types_of(library);
    for (const std::string& type : types) {
        const bool own = std::find(names, names + count, type) != names + count;
        if (type.empty() || type.find_first_of(" \t\r\n") != std::string::npos)
            throw Fault(Kind::option, "a type of layers has a bad name").has(quoted(type));
        if (own || ncnn::layer_to_index(type.c_str()) >= 0)
            throw Fault(Kind::option, "the library has a type of layers that is there already")
                .wants("a name that neither ncnn nor this runtime has")
                .has(quoted(type));
        if (const Loaded* const other = with_type(type))
            throw Fault(Kind::option, "two libraries have the same type of layers")
                .wants("a name of its own")
                .has(quoted(type) + ", which " + other->path.u8string() + " has");
        if (std::count(types.begin(), types.end(), type) > 1)
            throw Fault(Kind::option, "the library has a type of layers twice").has(quoted(type));
    }
    return library;
}

} // namespace

std::vector<std::string> add_layers(const std::filesystem::path& path)
{
    const std::lock_guard<ForkMutex> guard(lock());
    if (!std::filesystem::is_regular_file(path))
        throw Fault(Kind::option, "no such library of layers").at(path.u8string());
    const std::filesystem::path whole = std::filesystem::absolute(path);
    std::string reason;
    void* const handle = opened(whole, reason);
    if (!handle)
        throw Fault(Kind::option, "the library of layers cannot be loaded")
            .at(path.u8string())
            .because(reason)
            .remedy("Build it with ncnn_builder_add_layers(), which links ncnn");
    for (const Loaded& each : all())
        if (each.handle == handle) { // it was counted once more
            closed(handle);
            return types_of(*each.library);
        }
    try {
        const ncnn_builder::Library& library = checked(handle);
        all().push_back({whole, handle, &library});
        return types_of(library);
    } catch (Fault& fault) {
        closed(handle);
        throw fault.at(path.u8string());
    }
}

int register_outside(ncnn::Net& net)
{
    const std::lock_guard<ForkMutex> guard(lock());
    for (const Loaded& each : all())
        for (size_t i = 0; i < each.library->count; i++) {
            const ncnn_builder::Entry& entry = each.library->entries[i];
            if (const int code = net.register_custom_layer(entry.type, entry.create, entry.destroy))
                return code;
        }
    return 0;
}

bool is_outside(const std::string& type)
{
    const std::lock_guard<ForkMutex> guard(lock());
    return with_type(type) != nullptr;
}

std::vector<std::string> outside_types()
{
    const std::lock_guard<ForkMutex> guard(lock());
    std::vector<std::string> types;
    for (const Loaded& each : all())
        for (const std::string& type : types_of(*each.library))
            types.push_back(type);
    return types;
}

std::vector<std::filesystem::path> outside_libraries()
{
    const std::lock_guard<ForkMutex> guard(lock());
    std::vector<std::filesystem::path> paths;
    for (const Loaded& each : all())
        paths.push_back(each.path);
    return paths;
}

} // namespace runtime
