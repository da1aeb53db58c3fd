// The kernels with products in bfloat16, with what the instructions do written out: their arithmetic is
// tested on processors that have none.
#define KERNEL_ISA bf16_emulated
#define KERNEL_BF16
#include <custom_layers/conv_kernels.inc.h>
