#include "register_all.h"

#include "layer_list.h" // generated from the list of layers in CMakeLists.txt

namespace custom_layers
{

template <typename T> static ncnn::Layer* create(void*) { return new T; }

int register_all(ncnn::Net& net)
{
#define CUSTOM_LAYERS_REGISTER(type)                                                                         \
    if (const int ret = net.register_custom_layer(#type, create<type>))                                      \
        return ret;
    CUSTOM_LAYERS_FOR_EACH(CUSTOM_LAYERS_REGISTER)
#undef CUSTOM_LAYERS_REGISTER
    return 0;
}

const char* const* layer_names(size_t* count)
{
#define CUSTOM_LAYERS_NAME(type) #type,
    static const char* const names[] = {CUSTOM_LAYERS_FOR_EACH(CUSTOM_LAYERS_NAME)};
#undef CUSTOM_LAYERS_NAME
    *count = sizeof(names) / sizeof(names[0]);
    return names;
}

} // namespace custom_layers
