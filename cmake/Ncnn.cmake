# Gives the target `ncnn`: an existing one (-Dncnn_DIR=...), or the pinned release built once into a cache.
#
# ncnn publishes no library package, but its source distribution on the Python package index holds the whole
# source. It is fetched with `unearth` (pip refuses this sdist: its version is computed from the date of the
# build), checked by SHA-256, and built into
#   ${NCNN_BUILDER_CACHE} (a variable of CMake or of the environment), or
#   ${XDG_CACHE_HOME}/ncnn-builder, or ~/.cache/ncnn-builder
# under a key of version, options and compiler, so that any number of checkouts share one build.

set(NCNN_PINNED_VERSION "1.0.20261020")
set(NCNN_PINNED_DATE "20261020") # what ncnn itself calls its version
set(NCNN_PINNED_SHA256 "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200")

# NCNN_RUNTIME_CPU (ncnn's default, spelled out) compiles every instruction set and picks one at run time:
# the binary runs on any x86-64 or aarch64. NCNN_SIMPLEVK looks for Vulkan at run time, so a Vulkan build also
# runs where there is no Vulkan loader.
set(NCNN_PINNED_OPTIONS
  -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_INSTALL_LIBDIR=lib
  -DNCNN_SHARED_LIB=OFF
  -DNCNN_OPENMP=ON
  -DNCNN_RUNTIME_CPU=ON
  -DNCNN_VULKAN=ON
  -DNCNN_SIMPLEVK=ON
  -DNCNN_SYSTEM_GLSLANG=OFF
  -DNCNN_PYTHON=OFF
  -DNCNN_BUILD_TOOLS=OFF
  -DNCNN_BUILD_EXAMPLES=OFF
  -DNCNN_BUILD_BENCHMARK=OFF
  -DNCNN_BUILD_TESTS=OFF)

function(_ncnn_run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE rc OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT rc EQUAL 0)
    string(LENGTH "${out}" length)
    math(EXPR tail "${length} - 4000")
    if(tail GREATER 0)
      string(SUBSTRING "${out}" ${tail} -1 out)
    endif()
    message(FATAL_ERROR "ncnn ${NCNN_PINNED_VERSION}: ${what} failed (${rc}):\n${out}")
  endif()
endfunction()

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

# Downloads the sdist into `dir` unless it is there already; fails when its SHA-256 is not the pinned one.
function(_ncnn_fetch dir archive_var)
  set(archive "${dir}/ncnn-${NCNN_PINNED_VERSION}.tar.gz")
  if(EXISTS "${archive}")
    file(SHA256 "${archive}" have)
    if(NOT have STREQUAL NCNN_PINNED_SHA256)
      file(REMOVE "${archive}")
    endif()
  endif()
  if(NOT EXISTS "${archive}")
    find_package(Python REQUIRED COMPONENTS Interpreter)
    message(STATUS "ncnn: fetching the source of ${NCNN_PINNED_VERSION}")
    file(MAKE_DIRECTORY "${dir}")
    _ncnn_run("fetching the source with unearth (pip install unearth)"
      "${Python_EXECUTABLE}" -m unearth "ncnn==${NCNN_PINNED_VERSION}" --no-binary --download "${dir}")
    file(SHA256 "${archive}" have)
    if(NOT have STREQUAL NCNN_PINNED_SHA256)
      file(REMOVE "${archive}")
      message(FATAL_ERROR "ncnn ${NCNN_PINNED_VERSION}: the downloaded source has SHA-256\n  ${have}\nexpected\n"
        "  ${NCNN_PINNED_SHA256}\nIt was deleted. Check the package index that you use.")
    endif()
  endif()
  set(${archive_var} "${archive}" PARENT_SCOPE)
endfunction()

function(_ncnn_build root prefix)
  _ncnn_fetch("${root}/sources" archive)
  set(work "${prefix}.build")
  file(REMOVE_RECURSE "${work}")
  file(MAKE_DIRECTORY "${work}")
  file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${work}")
  set(source "${work}/ncnn-${NCNN_PINNED_VERSION}")
  set(configure -S "${source}" -B "${work}/build" -G "${CMAKE_GENERATOR}" ${NCNN_PINNED_OPTIONS}
    "-DCMAKE_INSTALL_PREFIX=${work}/install" "-DNCNN_VERSION=${NCNN_PINNED_DATE}")
  foreach(name CMAKE_C_COMPILER CMAKE_CXX_COMPILER CMAKE_MAKE_PROGRAM CMAKE_TOOLCHAIN_FILE)
    if(${name})
      list(APPEND configure "-D${name}=${${name}}")
    endif()
  endforeach()
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  message(STATUS "ncnn: building ${NCNN_PINNED_VERSION} into ${prefix} (once; 10 minutes on 2 cores)")
  # Flags of the caller's environment (-march=native, say) are not for a build that is shared and portable.
  _ncnn_run("configuring" "${CMAKE_COMMAND}" -E env --unset=CFLAGS --unset=CXXFLAGS --unset=LDFLAGS
    "${CMAKE_COMMAND}" ${configure})
  _ncnn_run("building" "${CMAKE_COMMAND}" --build "${work}/build" --config Release --parallel ${cores})
  _ncnn_run("installing" "${CMAKE_COMMAND}" --install "${work}/build" --config Release)
  file(RENAME "${work}/install" "${prefix}") # last and at once: a prefix that exists is whole
  file(REMOVE_RECURSE "${work}")
endfunction()

if(NOT ncnn_DIR)
  _ncnn_cache_root(_ncnn_root)
  string(SHA256 _ncnn_key "${NCNN_PINNED_SHA256};${NCNN_PINNED_OPTIONS};${CMAKE_SYSTEM_NAME};\
${CMAKE_SYSTEM_PROCESSOR};${CMAKE_CXX_COMPILER_ID};${CMAKE_CXX_COMPILER_VERSION}\
${CMAKE_TOOLCHAIN_FILE}${CMAKE_OSX_ARCHITECTURES}")
  string(SUBSTRING "${_ncnn_key}" 0 12 _ncnn_key)
  set(_ncnn_prefix "${_ncnn_root}/ncnn-${NCNN_PINNED_VERSION}-${_ncnn_key}")
  if(NOT EXISTS "${_ncnn_prefix}")
    file(MAKE_DIRECTORY "${_ncnn_root}")
    file(LOCK "${_ncnn_prefix}.lock") # two installs at once: the second waits and finds it built
    if(NOT EXISTS "${_ncnn_prefix}")
      _ncnn_build("${_ncnn_root}" "${_ncnn_prefix}")
    endif()
    file(LOCK "${_ncnn_prefix}.lock" RELEASE)
  endif()
  set(_ncnn_config "${_ncnn_prefix}/lib/cmake/ncnn")
else()
  set(_ncnn_config "${ncnn_DIR}")
endif()

find_package(ncnn REQUIRED CONFIG PATHS "${_ncnn_config}" NO_DEFAULT_PATH)
if(_ncnn_prefix)
  unset(ncnn_DIR CACHE) # only a user's choice stays in CMake's cache: ours would outlive a changed pin
endif()
set(NCNN_CONFIG_DIR "${_ncnn_config}") # a hint for whoever finds our installed library
message(STATUS "ncnn: ${_ncnn_config}")
