# LibTorch as one imported target. The wheel's own TorchConfig.cmake insists on a CUDA toolkit; two libraries are all a
# program needs: it opens the CUDA ones itself when it runs on a machine that has them (libcommon/device).
set(FETTLE_LIBTORCH "$ENV{FETTLE_LIBTORCH}" CACHE PATH "LibTorch folder (include/ and lib/); empty: what scripts/setup.sh installed")
set(fettle_torch_dir ${FETTLE_LIBTORCH})
if(NOT fettle_torch_dir)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/setup.sh --where OUTPUT_VARIABLE fettle_torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT EXISTS ${fettle_torch_dir}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "No LibTorch in '${fettle_torch_dir}'. Run scripts/setup.sh, or set FETTLE_LIBTORCH to a torch 2.11 folder.")
endif()
message(STATUS "LibTorch: ${fettle_torch_dir}")
set(FETTLE_LIBTORCH_DIR ${fettle_torch_dir} CACHE INTERNAL "")

# Libraries are given as plain options: CMake would warn of every target, because the folder also holds a
# libgomp of the same soname as the system's (one of the two is loaded, so there is one pool of threads).
add_library(fettle_libtorch INTERFACE)
target_include_directories(fettle_libtorch SYSTEM INTERFACE ${fettle_torch_dir}/include ${fettle_torch_dir}/include/torch/csrc/api/include)
# LibTorch's include folder holds the headers of its own fmt, which come before the system's.
add_library(fettle_libtorch_fmt STATIC ${PROJECT_SOURCE_DIR}/cmake/libtorch_fmt.cpp)
target_include_directories(fettle_libtorch_fmt SYSTEM PRIVATE ${fettle_torch_dir}/include)
target_link_libraries(fettle_libtorch_fmt PRIVATE fettle_flags)
target_link_libraries(fettle_libtorch INTERFACE fettle_libtorch_fmt)
target_link_options(fettle_libtorch INTERFACE -Wl,--push-state,--no-as-needed ${fettle_torch_dir}/lib/libtorch_cpu.so ${fettle_torch_dir}/lib/libc10.so
  -Wl,--pop-state -Wl,--allow-shlib-undefined)
set(CMAKE_BUILD_RPATH ${fettle_torch_dir}/lib)
target_link_libraries(fettle_libtorch INTERFACE OpenMP::OpenMP_CXX Threads::Threads)

# The precompiled header that every .cpp of the upper floor shares. ATen alone: loading it takes 3 s a file, torch/torch.h
# would take 8. Files that need torch/nn include its narrow headers themselves.
file(WRITE ${CMAKE_BINARY_DIR}/generated/torch_pch.cpp "")
add_library(fettle_torch_pch STATIC ${CMAKE_BINARY_DIR}/generated/torch_pch.cpp)
target_link_libraries(fettle_torch_pch PUBLIC fettle_libtorch fettle_flags PRIVATE fettle_warnings)
target_precompile_headers(fettle_torch_pch PRIVATE <ATen/ATen.h> <ATen/core/grad_mode.h> <nlohmann/json.hpp> <fmt/format.h>)
