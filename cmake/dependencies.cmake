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
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
find_library(SNAPPY_LIBRARY snappy REQUIRED) # has no pkg-config file
# RocksDB: the distribution's, or a build of one's own (scripts/rocksdb-release makes one).
set(LEAT_ROCKSDB_DIR "" CACHE PATH "Directory with include/rocksdb/c.h and lib/librocksdb.* to use instead of the system's")
if(LEAT_ROCKSDB_DIR)
  set(leat_rocksdb_where PATHS ${LEAT_ROCKSDB_DIR} NO_DEFAULT_PATH)
endif()
unset(ROCKSDB_LIBRARY CACHE) # a directory that was given later counts
unset(ROCKSDB_INCLUDE_DIR CACHE)
find_library(ROCKSDB_LIBRARY rocksdb ${leat_rocksdb_where} PATH_SUFFIXES lib lib64 REQUIRED)
find_path(ROCKSDB_INCLUDE_DIR rocksdb/c.h ${leat_rocksdb_where} PATH_SUFFIXES include REQUIRED)
file(STRINGS ${ROCKSDB_INCLUDE_DIR}/rocksdb/version.h leat_rocksdb_lines REGEX "^#define ROCKSDB_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX REPLACE "[^0-9;]" "" LEAT_ROCKSDB_VERSION "${leat_rocksdb_lines}")
string(REPLACE ";" "." LEAT_ROCKSDB_VERSION "${LEAT_ROCKSDB_VERSION}")
message(STATUS "RocksDB ${LEAT_ROCKSDB_VERSION}: ${ROCKSDB_LIBRARY}")
pkg_check_modules(AVRO IMPORTED_TARGET avro-c) # tests and bench only: the oracle
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)

add_library(leat_dependencies INTERFACE)
target_link_libraries(leat_dependencies INTERFACE PkgConfig::UV PkgConfig::JANSSON PkgConfig::PCRE2 PkgConfig::ZLIB
  PkgConfig::ZSTD PkgConfig::XXHASH PkgConfig::SIMDJSON PkgConfig::RDKAFKA PkgConfig::CURL ${ROCKSDB_LIBRARY} ${SNAPPY_LIBRARY} Threads::Threads m)
if(LEAT_ROCKSDB_DIR)
  target_include_directories(leat_dependencies SYSTEM INTERFACE ${ROCKSDB_INCLUDE_DIR})
endif()
target_compile_definitions(leat_dependencies INTERFACE LEAT_ROCKSDB_VERSION="${LEAT_ROCKSDB_VERSION}")
# The same by their pkg-config names, for those who link libleat.a (cmake/leat.pc.in, cmake/LeatConfig.cmake.in). RocksDB, snappy
# and librdkafka are named there as libraries: the first two have no such file, and what the third says of archives asks for
# the development files of all that it stands on (TLS, SASL, lz4), which its shared library brings by itself.
set(LEAT_PC_REQUIRES "libuv jansson libpcre2-8 zlib libzstd libxxhash simdjson")
