# Warnings, sanitizers and code generation, for every target of the project.
add_library(leat_flags INTERFACE)
target_compile_definitions(leat_flags INTERFACE _GNU_SOURCE)
target_compile_options(leat_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wvla -Wundef -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion
    -Werror=incompatible-pointer-types -Werror=implicit-function-declaration>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(leat_flags INTERFACE -Wno-format-truncation) # messages are cut on purpose
endif()
if(LEAT_WERROR)
  target_compile_options(leat_flags INTERFACE -Werror)
endif()
if(LEAT_SANITIZE)
  target_compile_options(leat_flags INTERFACE -fsanitize=${LEAT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(leat_flags INTERFACE -fsanitize=${LEAT_SANITIZE})
  if(LEAT_SANITIZE MATCHES "undefined")
    target_compile_options(leat_flags INTERFACE -fno-sanitize-recover=undefined)
    if(CMAKE_C_COMPILER_ID MATCHES "Clang") # it minds NULL + 0 as well, which is what an empty array comes to
      target_compile_options(leat_flags INTERFACE -fno-sanitize=pointer-overflow
        $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>) # C programs have no part of the runtime for it
    endif()
  endif()
endif()
if(LEAT_FUZZ)
  target_compile_options(leat_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(leat_flags INTERFACE -fsanitize=fuzzer-no-link) # the tools that the build itself runs
endif()
