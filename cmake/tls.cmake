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
