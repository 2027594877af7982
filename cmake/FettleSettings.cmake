# Language, warnings, sanitizers, ccache. Everything hangs on two interface targets: fettle_flags for all our code,
# fettle_warnings for what we wrote ourselves.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Paths below the checkout are hashed relative, so that a second clone finds what the first one compiled; precompiled
  # headers need ccache told that their time stamps and macros do not matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(TIFF 4.5 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(WebP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
# Opened at run time, as libtiff is: their headers are all a build needs.
pkg_check_modules(SndFile REQUIRED IMPORTED_TARGET sndfile>=1.1)
pkg_check_modules(Mpg123 REQUIRED libmpg123)
find_path(LAME_INCLUDE_DIR lame/lame.h REQUIRED)
if(FETTLE_TORCH OR NOT FETTLE_FUZZ)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()

add_library(fettle_flags INTERFACE)
# The baseline runs on every x86-64 machine of the last fifteen years; wider instruction sets live in kernels' own files.
# No contraction: the same source gives the same bits whatever the file's flags.
target_compile_options(fettle_flags INTERFACE -march=x86-64-v2 -ffp-contract=off)
if(FETTLE_SANITIZE)
  target_compile_options(fettle_flags INTERFACE -fsanitize=${FETTLE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(fettle_flags INTERFACE -fsanitize=${FETTLE_SANITIZE})
endif()
if(FETTLE_FUZZ)
  target_compile_options(fettle_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(fettle_warnings INTERFACE)
target_compile_options(fettle_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wundef
  -Wno-missing-field-initializers)  # designated initialisers leave the rest to the defaults
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these for std::string and std::vector code that is right (its bugs 105329, 105562).
  target_compile_options(fettle_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(FETTLE_WERROR)
  target_compile_options(fettle_warnings INTERFACE -Werror)
endif()
