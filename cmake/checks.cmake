# The rules of the house as tests: each is a script in tools/ that prints file:line of what breaks it and exits
# with 77 when it can not look (a tool is missing), which counts as skipped.
function(leat_check name)
  add_test(NAME checks/${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(checks/${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS checks)
endfunction()

leat_check(layers ${CMAKE_SOURCE_DIR}/tools/check-layers)
leat_check(style ${CMAKE_SOURCE_DIR}/tools/check-style)
leat_check(format ${CMAKE_SOURCE_DIR}/tools/check-format)
leat_check(snippets ${CMAKE_SOURCE_DIR}/tools/check-snippets)
leat_check(headers ${CMAKE_SOURCE_DIR}/tools/check-headers)
leat_check(undefined ${CMAKE_SOURCE_DIR}/tools/check-undefined ${CMAKE_BINARY_DIR})
leat_check(symbols ${CMAKE_SOURCE_DIR}/tools/check-symbols $<TARGET_FILE:leat>)
# The checkers and the scripts themselves.
file(GLOB leat_script_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/scripts/test-*)
foreach(script ${leat_script_tests})
  get_filename_component(name ${script} NAME)
  leat_check(${name} ${script})
  set_tests_properties(checks/${name} PROPERTIES COST 100) # these take longer than programs
endforeach()

# A program outside the tree, against an installation. A sanitizer's library needs a sanitizer's program.
if(NOT LEAT_SANITIZE)
  add_test(NAME install/outside COMMAND ${CMAKE_SOURCE_DIR}/scripts/test-outside ${CMAKE_BINARY_DIR}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(install/outside PROPERTIES SKIP_RETURN_CODE 77 LABELS install)
endif()
