# For CMAKE_TOOLCHAIN_FILE: WebAssembly with SIMD128, by emscripten (Debian: apt install emscripten), run by node.
#
# Exceptions are WebAssembly's own, which browsers have since 2022: ncnn is compiled with the same, because those of the
# runtime pass through it. What is compiled here needs SIMD128; there is no form without.
find_program(EMSCRIPTEN_COMPILER em++ NO_CMAKE_FIND_ROOT_PATH)
if(NOT EMSCRIPTEN_COMPILER)
  message(FATAL_ERROR "No emscripten was found: no em++. Debian and Ubuntu: apt install emscripten; else put that of an "
    "emsdk on PATH.")
endif()
file(REAL_PATH "${EMSCRIPTEN_COMPILER}" EMSCRIPTEN_FOLDER)
cmake_path(GET EMSCRIPTEN_FOLDER PARENT_PATH EMSCRIPTEN_FOLDER)
set(EMSCRIPTEN_TOOLCHAIN cmake/Modules/Platform/Emscripten.cmake)
if(NOT EXISTS "${EMSCRIPTEN_FOLDER}/${EMSCRIPTEN_TOOLCHAIN}") # Debian's em++ is a script of its own
  set(EMSCRIPTEN_FOLDER /usr/share/emscripten)
endif()
set(ENV{NODE_PATH} "/usr/share/nodejs:$ENV{NODE_PATH}") # where Debian's emscripten has its JavaScript
# Emscripten.cmake finds node where the user's settings name it; ours has no fetch(), which emscripten before 3.1.18 takes
# for a browser's.
find_program(NCNN_BUILDER_NODE node NO_CMAKE_FIND_ROOT_PATH)
set(CMAKE_CXX_FLAGS_INIT "-msimd128 -fwasm-exceptions")
set(CMAKE_C_FLAGS_INIT "-msimd128 -fwasm-exceptions")
include("${EMSCRIPTEN_FOLDER}/${EMSCRIPTEN_TOOLCHAIN}")
set(CMAKE_CROSSCOMPILING_EMULATOR "${NCNN_BUILDER_NODE};--no-experimental-fetch")
