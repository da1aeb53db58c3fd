# For CMAKE_TOOLCHAIN_FILE: 64-bit ARM from any Linux, by Debian's g++-aarch64-linux-gnu, run by qemu-user.
#
# NCNN_BUILDER_AARCH64_ROOT: a folder with more of that system, as .ci/aarch64-root makes it. Without it there is what
# the cross compiler brings: the C and C++ libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES NCNN_BUILDER_AARCH64_ROOT)
set(root /usr/aarch64-linux-gnu)
if(NCNN_BUILDER_AARCH64_ROOT)
  list(PREPEND root "${NCNN_BUILDER_AARCH64_ROOT}")
endif()
set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
list(GET root 0 root)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${root}")
