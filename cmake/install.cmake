# What is installed: the library in both forms, the public headers, the leat tool, and the files by which
# pkg-config and CMake find them. All paths are relative: the tree can be moved, and installed anywhere
# with `cmake --install DIR --prefix P`.
include(CMakePackageConfigHelpers)
set(leat_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Leat)

install(TARGETS leat EXPORT LeatTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS leat_static EXPORT LeatStaticTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/leat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
set(leat_installed leat leat_static)
if(TARGET leat_tool)
  install(TARGETS leat_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  list(APPEND leat_installed leat_tool)
else()
  message(STATUS "No target leat_tool: the command leat is not installed")
endif()
# Builds what is installed and no tests.
add_custom_target(install_parts DEPENDS ${leat_installed})

# pkg-config. ${pcfiledir} makes it independent of the prefix.
file(RELATIVE_PATH leat_pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" leat_pc_up "${leat_pc_up}")
set(leat_pc_prefix "\${pcfiledir}/${leat_pc_up}")
set(leat_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
set(leat_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
configure_file(${CMAKE_SOURCE_DIR}/cmake/leat.pc.in ${CMAKE_BINARY_DIR}/installed/leat.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/installed/leat.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The build tree as it is: PKG_CONFIG_PATH=build/dev pkg-config leat finds this one first.
set(leat_pc_prefix ${CMAKE_BINARY_DIR})
set(leat_pc_libdir ${CMAKE_BINARY_DIR})
set(leat_pc_includedir ${CMAKE_SOURCE_DIR}/include)
configure_file(${CMAKE_SOURCE_DIR}/cmake/leat.pc.in ${CMAKE_BINARY_DIR}/leat-uninstalled.pc @ONLY)

# CMake. The static library is a set of its own: without the development files of what it stands on, the
# shared one can still be used.
install(EXPORT LeatTargets NAMESPACE Leat:: DESTINATION ${leat_cmake_dir})
install(EXPORT LeatStaticTargets NAMESPACE Leat:: DESTINATION ${leat_cmake_dir})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/LeatConfig.cmake.in
  ${CMAKE_BINARY_DIR}/installed/LeatConfig.cmake INSTALL_DESTINATION ${leat_cmake_dir}
  PATH_VARS CMAKE_INSTALL_BINDIR)
# Before 1.0 a minor version may break.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/installed/LeatConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/installed/LeatConfig.cmake ${CMAKE_BINARY_DIR}/installed/LeatConfigVersion.cmake
  ${CMAKE_SOURCE_DIR}/cmake/leat_generate.cmake
  DESTINATION ${leat_cmake_dir})
