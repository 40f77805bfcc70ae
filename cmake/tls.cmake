# SPDX-License-Identifier: BSD-2-Clause
# What TLS users get: the OpenSSL provider.

# Never unloaded: fork handlers and connections point into it (backends/active/context.c). All of it is
# hidden but the one function that OpenSSL looks for.
file(GLOB PROVIDER_SOURCES CONFIGURE_DEPENDS backends/provider/*.c)
list(FILTER PROVIDER_SOURCES EXCLUDE REGEX "provider/module\\.c$")
add_library(idm_provider STATIC ${PROVIDER_SOURCES})
target_compile_definitions(idm_provider PRIVATE IDM_VERSION="${PROJECT_VERSION}")
target_link_libraries(idm_provider PUBLIC idm_backends)

add_library(provider MODULE backends/provider/module.c)
set_target_properties(provider PROPERTIES PREFIX "" OUTPUT_NAME idmode
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/ossl-modules)
target_link_libraries(provider PRIVATE idm_provider)
target_link_options(provider PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,nodelete -Wl,--as-needed
  -Wl,-z,defs)

file(GLOB SIGND_SOURCES CONFIGURE_DEPENDS cli/signd/*.c)
add_executable(idmode-signd ${SIGND_SOURCES} cli/options.c)
target_compile_definitions(idmode-signd PRIVATE IDM_VERSION="${PROJECT_VERSION}")
target_link_libraries(idmode-signd PRIVATE idm_backends)

# One call for C programs. The provider is inside, under a name of its own, so that neither a module
# directory nor openssl.cnf is needed.
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl>=3.0)
file(GLOB LIBRARY_SOURCES CONFIGURE_DEPENDS backends/library/*.c)
add_library(libidmode SHARED ${LIBRARY_SOURCES})
set_target_properties(libidmode PROPERTIES OUTPUT_NAME idmode VERSION ${PROJECT_VERSION} SOVERSION 0
  C_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/backends/library/libidmode.map)
target_include_directories(libidmode INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(libidmode PRIVATE idm_provider PkgConfig::SSL)
target_link_options(libidmode PRIVATE
  -Wl,--version-script=${CMAKE_SOURCE_DIR}/backends/library/libidmode.map -Wl,--exclude-libs,ALL
  -Wl,-z,nodelete -Wl,--as-needed -Wl,-z,defs)

if(IDM_TESTS)
  add_executable(example-client examples/client.c)
  target_link_libraries(example-client PRIVATE libidmode PkgConfig::SSL PkgConfig::CRYPTO)
  add_executable(example-server examples/server.c)
  target_link_libraries(example-server PRIVATE libidmode PkgConfig::SSL PkgConfig::CRYPTO)
endif()
