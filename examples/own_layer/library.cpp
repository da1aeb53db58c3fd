// What makes a library of the layers that runtime.add_layers() takes.
#include "median.h"

#include <ncnn_builder/layers.h>

NCNN_BUILDER_LAYERS(ncnn_builder::layer<Median>("Median"))
