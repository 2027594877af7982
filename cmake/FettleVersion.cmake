# git describes the build: the commit and whether the tree differed from it, refreshed at each build without
# recompiling anything but one file when they change.
set(FETTLE_VERSION_SOURCE ${CMAKE_BINARY_DIR}/generated/build_info.cpp)
add_custom_target(fettle_build_info
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION} -DOUTPUT=${FETTLE_VERSION_SOURCE}
          -P ${PROJECT_SOURCE_DIR}/cmake/WriteBuildInfo.cmake
  BYPRODUCTS ${FETTLE_VERSION_SOURCE}
  COMMENT "")
