# libleat, shared and static, from the layers.
set(leat_objects $<TARGET_OBJECTS:leat_base> $<TARGET_OBJECTS:leat_record> $<TARGET_OBJECTS:leat_state>
  $<TARGET_OBJECTS:leat_topology> $<TARGET_OBJECTS:leat_operators> $<TARGET_OBJECTS:leat_connectors>
  $<TARGET_OBJECTS:leat_runtime>)
add_library(leat SHARED ${leat_objects})
set_target_properties(leat PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
add_library(leat_static STATIC ${leat_objects})
set_target_properties(leat_static PROPERTIES OUTPUT_NAME leat)
foreach(target leat leat_static)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE leat_flags leat_dependencies)
endforeach()
