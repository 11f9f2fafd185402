# libleat, shared and static, from the layers.
set(leat_objects $<TARGET_OBJECTS:leat_base> $<TARGET_OBJECTS:leat_record> $<TARGET_OBJECTS:leat_state>
  $<TARGET_OBJECTS:leat_topology> $<TARGET_OBJECTS:leat_operators> $<TARGET_OBJECTS:leat_connectors>
  $<TARGET_OBJECTS:leat_runtime>)

# Shared: only leat_* leaves it, and nothing may be missing in it. A sanitizer's runtime is supplied by the
# program, so there the linker can not know.
add_library(leat SHARED ${leat_objects})
set_target_properties(leat PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/leat.map)
target_link_options(leat PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/leat.map)
if(NOT LEAT_SANITIZE)
  target_link_options(leat PRIVATE LINKER:--no-undefined)
endif()
target_link_libraries(leat PRIVATE leat_flags leat_dependencies)

# Static: its users link what it stands on; C programs need the C++ library by name, for the JSON parser.
add_library(leat_static STATIC ${leat_objects})
set_target_properties(leat_static PROPERTIES OUTPUT_NAME leat)
target_link_libraries(leat_static INTERFACE
  $<BUILD_INTERFACE:$<LINK_ONLY:leat_dependencies>> $<BUILD_INTERFACE:$<LINK_ONLY:leat_flags>>
  $<INSTALL_INTERFACE:PkgConfig::LEAT_DEPENDENCIES> $<INSTALL_INTERFACE:rocksdb> $<INSTALL_INTERFACE:snappy>
  $<INSTALL_INTERFACE:rdkafka> stdc++ m)

foreach(target leat leat_static)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  # A callback for the wrong record type must not compile; gcc before 14 only warns.
  target_compile_options(${target} INTERFACE
    $<INSTALL_INTERFACE:$<$<COMPILE_LANGUAGE:C>:-Werror=incompatible-pointer-types>>)
endforeach()
set_target_properties(leat PROPERTIES EXPORT_NAME leat)
set_target_properties(leat_static PROPERTIES EXPORT_NAME leat_static)
