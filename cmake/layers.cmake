# leat_layer(folder allowed...): the folder's sources as an object library that sees only the headers of the
# folders it may include: its include path is a directory of links to exactly those. tools/check-layers says
# the same with file and line.
function(leat_layer folder)
  set(view ${CMAKE_BINARY_DIR}/layers/${folder})
  file(MAKE_DIRECTORY ${view})
  foreach(seen ${folder} ${ARGN})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${seen} ${view}/${seen} SYMBOLIC)
  endforeach()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  if(NOT sources)
    file(WRITE ${CMAKE_BINARY_DIR}/empty_${folder}.c "extern int leat__empty_${folder};\n")
    set(sources ${CMAKE_BINARY_DIR}/empty_${folder}.c)
  endif()
  add_library(leat_${folder} OBJECT ${sources})
  target_include_directories(leat_${folder} PRIVATE ${view} ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(leat_${folder} PRIVATE leat_flags leat_dependencies)
endfunction()
