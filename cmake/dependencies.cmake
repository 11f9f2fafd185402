# The libraries that libleat stands on, from Debian's packages (scripts/setup installs them).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(SIMDJSON REQUIRED IMPORTED_TARGET simdjson)
find_library(SNAPPY_LIBRARY snappy REQUIRED) # has no pkg-config file
pkg_check_modules(AVRO IMPORTED_TARGET avro-c) # tests and bench only: the oracle
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)

add_library(leat_dependencies INTERFACE)
target_link_libraries(leat_dependencies INTERFACE PkgConfig::UV PkgConfig::JANSSON PkgConfig::PCRE2 PkgConfig::ZLIB
  PkgConfig::ZSTD PkgConfig::XXHASH PkgConfig::SIMDJSON ${SNAPPY_LIBRARY} Threads::Threads m)
# The same by their pkg-config names, for those who link libleat.a (cmake/leat.pc.in, cmake/LeatConfig.cmake.in).
set(LEAT_PC_REQUIRES "libuv jansson libpcre2-8 zlib libzstd libxxhash simdjson")
