# Gives the target `ncnn`: an existing one (-Dncnn_DIR=...), or the pinned release built once into a cache.
#
# ncnn publishes no library package, but its source distribution on the Python package index holds the whole
# source. It is fetched with `unearth` (pip refuses this sdist: its version is computed from the date of the
# build), checked by SHA-256, and built by build_ncnn.py into
#   ${NCNN_BUILDER_CACHE} (a variable of CMake or of the environment), or
#   ${XDG_CACHE_HOME}/ncnn-builder, or ~/.cache/ncnn-builder
# under a key of version, options and compiler, so that any number of checkouts share one build.

set(NCNN_PINNED_VERSION "1.0.20261020")
set(NCNN_PINNED_DATE "20261020") # what ncnn itself calls its version
set(NCNN_PINNED_SHA256 "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200")

option(NCNN_BUILDER_VULKAN "Build ncnn with Vulkan: Net(vulkan=True)" OFF)
option(NCNN_BUILDER_BF16 "Build ncnn with bf16: Net(bf16_storage=True)" OFF)
set(NCNN_BUILDER_NCNN_LAYERS "" CACHE STRING
  "Those of ncnn's layers that are built, such as Convolution;Reduction, with all that they and ncnn itself need; nothing: all")

# NCNN_RUNTIME_CPU (ncnn's default, spelled out) compiles the instruction sets and picks one at run time: the binary
# runs on any x86-64 or aarch64. NCNN_SIMPLEVK looks for Vulkan at run time, so a Vulkan build also runs where there is
# no Vulkan loader. Left out are FMA4 and XOP, of AMD processors until 2014 and most of them with FMA as well.
# bf16 makes each kernel twice, and has two more instruction sets.
set(_ncnn_left_out -DNCNN_COMPILER_SUPPORT_X86_FMA4=OFF -DNCNN_COMPILER_SUPPORT_X86_XOP=OFF) # nor tried
if(NOT NCNN_BUILDER_BF16)
  list(APPEND _ncnn_left_out -DNCNN_COMPILER_SUPPORT_X86_AVX512_BF16=OFF -DNCNN_COMPILER_SUPPORT_X86_AVX_NE_CONVERT=OFF)
endif()
set(NCNN_PINNED_OPTIONS
  -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_INSTALL_LIBDIR=lib
  -DNCNN_SHARED_LIB=OFF
  -DNCNN_OPENMP=ON
  -DNCNN_RUNTIME_CPU=ON
  -DNCNN_VULKAN=${NCNN_BUILDER_VULKAN}
  -DNCNN_SIMPLEVK=ON
  -DNCNN_SYSTEM_GLSLANG=OFF
  -DNCNN_BF16=${NCNN_BUILDER_BF16}
  ${_ncnn_left_out}
  -DNCNN_PYTHON=OFF
  -DNCNN_BUILD_TOOLS=OFF
  -DNCNN_BUILD_EXAMPLES=OFF
  -DNCNN_BUILD_BENCHMARK=OFF
  -DNCNN_BUILD_TESTS=OFF)

# WebAssembly: SSE2 in the form of SIMD128, and of ncnn's layers those that generators and their parts are made of: a page
# is loaded over a network, and a build of all layers takes three times as long. OpenMP is custom_layers/openmp_wasm.cpp,
# not ncnn's, whose name only keeps CMake from looking for one; whether there are threads is decided where it is linked.
if(CMAKE_SYSTEM_NAME STREQUAL "Emscripten")
  list(REMOVE_ITEM NCNN_PINNED_OPTIONS -DNCNN_OPENMP=ON -DNCNN_RUNTIME_CPU=ON)
  list(APPEND NCNN_PINNED_OPTIONS -DNCNN_OPENMP=ON -DNCNN_SIMPLEOMP=ON -DNCNN_RUNTIME_CPU=OFF -DNCNN_C_API=OFF
    -DNCNN_PIXEL=OFF -DNCNN_PLATFORM_API=OFF -DNCNN_DISABLE_PIC=ON -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON)
  foreach(set IN ITEMS AVX FMA F16C AVX2 AVX512 AVX_VNNI AVX_VNNI_INT8 AVX_VNNI_INT16 AVX_NE_CONVERT AVX512_VNNI AVX512_BF16
      AVX512_FP16 RECIP_NONE)
    list(APPEND NCNN_PINNED_OPTIONS -DNCNN_COMPILER_SUPPORT_X86_${set}=OFF) # nor tried
  endforeach()
  foreach(layer IN ITEMS absval argmax bnll elu exp log lrn mvn power proposal roipooling spp threshold rnn lstm priorbox
      detectionoutput shufflechannel reorg yolodetectionoutput yolov3detectionoutput psroipooling roialign selu deepcopy
      statisticspooling gru multiheadattention convolution1d pooling1d convolutiondepthwise1d convolution3d
      convolutiondepthwise3d pooling3d deconvolution1d deconvolutiondepthwise1d deconvolution3d deconvolutiondepthwise3d
      einsum deformableconv2d glu fold unfold gridsample cumulativesum diag celu shrink spectrogram inversespectrogram sdpa
      rotaryembed)
    list(APPEND NCNN_PINNED_OPTIONS -DWITH_LAYER_${layer}=OFF)
  endforeach()
endif()

function(_ncnn_cache_root out)
  if(NCNN_BUILDER_CACHE)
    set(root "${NCNN_BUILDER_CACHE}")
  elseif(DEFINED ENV{NCNN_BUILDER_CACHE})
    set(root "$ENV{NCNN_BUILDER_CACHE}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(root "$ENV{XDG_CACHE_HOME}/ncnn-builder")
  elseif(DEFINED ENV{LOCALAPPDATA})
    set(root "$ENV{LOCALAPPDATA}/ncnn-builder")
  else()
    set(root "$ENV{HOME}/.cache/ncnn-builder")
  endif()
  set(${out} "${root}" PARENT_SCOPE)
endfunction()

# What a toolchain file, or CMake itself, is told of Android and of Apple's systems: ncnn has to be told the same.
set(_ncnn_platform "")
foreach(name IN ITEMS ANDROID_ABI ANDROID_PLATFORM ANDROID_STL CMAKE_OSX_SYSROOT CMAKE_OSX_DEPLOYMENT_TARGET)
  if(${name})
    list(APPEND _ncnn_platform "-D${name}=${${name}}")
  endif()
endforeach()
if(APPLE AND NOT CMAKE_SYSTEM_NAME STREQUAL "Darwin") # iOS, tvOS, ...: no toolchain file says so
  list(APPEND _ncnn_platform "-DCMAKE_SYSTEM_NAME=${CMAKE_SYSTEM_NAME}")
endif()

function(_ncnn_build prefix)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  set(configure -G "${CMAKE_GENERATOR}" ${NCNN_PINNED_OPTIONS} "-DNCNN_VERSION=${NCNN_PINNED_DATE}")
  foreach(name CMAKE_C_COMPILER CMAKE_CXX_COMPILER CMAKE_MAKE_PROGRAM CMAKE_TOOLCHAIN_FILE CMAKE_OSX_ARCHITECTURES)
    if(${name})
      string(REPLACE ";" "\\;" value "${${name}}")
      list(APPEND configure "-D${name}=${value}")
    endif()
  endforeach()
  list(APPEND configure ${_ncnn_platform})
  message(STATUS "ncnn: building ${NCNN_PINNED_VERSION} into ${prefix} (once)")
  execute_process(
    COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/build_ncnn.py" --version ${NCNN_PINNED_VERSION}
      --sha256 ${NCNN_PINNED_SHA256} --prefix "${prefix}" --include "${_ncnn_objects}" --cmake "${CMAKE_COMMAND}"
      "--layers=${NCNN_BUILDER_NCNN_LAYERS}"
      -- ${configure}
    RESULT_VARIABLE rc ERROR_VARIABLE error)
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "${error}")
  endif()
endfunction()

if(NOT ncnn_DIR)
  _ncnn_cache_root(_ncnn_root)
  set(_ncnn_objects "${CMAKE_CURRENT_LIST_DIR}/NcnnObjects.cmake")
  file(SHA256 "${_ncnn_objects}" _ncnn_objects_key)
  set(_ncnn_toolchain_key "")
  if(CMAKE_TOOLCHAIN_FILE) # what it says, wherever it lies
    file(SHA256 "${CMAKE_TOOLCHAIN_FILE}" _ncnn_toolchain_key)
  endif()
  string(SHA256 _ncnn_key "${NCNN_PINNED_SHA256};${NCNN_PINNED_OPTIONS};${_ncnn_objects_key};${CMAKE_SYSTEM_NAME};\
${CMAKE_SYSTEM_PROCESSOR};${CMAKE_CXX_COMPILER_ID};${CMAKE_CXX_COMPILER_VERSION}\
${_ncnn_toolchain_key}${CMAKE_OSX_ARCHITECTURES}${_ncnn_platform}${NCNN_BUILDER_NCNN_LAYERS}")
  string(SUBSTRING "${_ncnn_key}" 0 12 _ncnn_key)
  set(_ncnn_prefix "${_ncnn_root}/ncnn-${NCNN_PINNED_VERSION}-${_ncnn_key}")
  if(NOT EXISTS "${_ncnn_prefix}")
    _ncnn_build("${_ncnn_prefix}")
  endif()
  set(_ncnn_config "${_ncnn_prefix}/lib/cmake/ncnn")
else()
  set(_ncnn_config "${ncnn_DIR}")
endif()

# Not below the root of a cross compiler's system, where toolchain files have packages looked up.
find_package(ncnn REQUIRED CONFIG PATHS "${_ncnn_config}" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(CMAKE_SYSTEM_NAME STREQUAL "Emscripten") # or all that it is linked with would have to have threads
  set_target_properties(ncnn PROPERTIES INTERFACE_LINK_LIBRARIES "" INTERFACE_COMPILE_OPTIONS "")
endif()
if(_ncnn_prefix)
  unset(ncnn_DIR CACHE) # only a user's choice stays in CMake's cache: ours would outlive a changed pin
endif()
set(NCNN_CONFIG_DIR "${_ncnn_config}") # a hint for whoever finds our installed library
set(NCNN_CHOSEN_DIR "${ncnn_DIR}") # of a user who has an ncnn of their own; else nothing
message(STATUS "ncnn: ${_ncnn_config}")
