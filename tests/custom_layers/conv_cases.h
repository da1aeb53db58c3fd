// Cases that test_conv.cpp and test_conv_numbers.cpp choose.
#pragma once

#include "conv_oracle.h"
#include "random.h"

// A convolution with any of the options that is not much to compute.
ConvCase random_case(Random& random);

// A packing that so many channels can have.
int random_pack(Random& random, int channels);

// The same case with channels and a size that the scheme is chosen for, and as little to do as possible: what
// is chosen follows measurements, and may change.
ConvCase case_of(custom_layers::ConvScheme scheme, const ConvCase& like);
