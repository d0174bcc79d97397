# twinspan::rdkafka: the system's librdkafka where it is 2.8 or newer, else the one `./dev setup` built into build/deps.
pkg_check_modules(RDKAFKA QUIET IMPORTED_TARGET rdkafka>=2.8)
set(TWINSPAN_RDKAFKA_ROOT ${CMAKE_SOURCE_DIR}/build/deps/librdkafka)

add_library(twinspan_rdkafka INTERFACE)
if(RDKAFKA_FOUND)
  target_link_libraries(twinspan_rdkafka INTERFACE PkgConfig::RDKAFKA)
elseif(EXISTS ${TWINSPAN_RDKAFKA_ROOT}/lib/librdkafka.a)
  find_package(ZLIB REQUIRED)
  pkg_check_modules(RDKAFKA_NEEDS REQUIRED IMPORTED_TARGET liblz4 libzstd libsasl2)
  target_include_directories(twinspan_rdkafka SYSTEM INTERFACE ${TWINSPAN_RDKAFKA_ROOT}/include)
  target_link_libraries(twinspan_rdkafka INTERFACE ${TWINSPAN_RDKAFKA_ROOT}/lib/librdkafka.a PkgConfig::RDKAFKA_NEEDS
                        OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
else()
  message(FATAL_ERROR "librdkafka 2.8 or newer is not here: run ./dev setup (it builds it into build/deps)")
endif()
add_library(twinspan::rdkafka ALIAS twinspan_rdkafka)
