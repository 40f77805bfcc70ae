# SPDX-License-Identifier: BSD-2-Clause
# The controller's side of attestation: no TPM, no root, not for devices.
file(GLOB VERIFY_SOURCES CONFIGURE_DEPENDS verify/*.c)
add_library(idm_verify STATIC ${VERIFY_SOURCES})
target_link_libraries(idm_verify PUBLIC idm_engine idm_attest)

file(GLOB VERIFY_PROGRAM_SOURCES CONFIGURE_DEPENDS cli/verify/*.c)
add_executable(idmode-verify ${VERIFY_PROGRAM_SOURCES} cli/options.c)
target_compile_definitions(idmode-verify PRIVATE IDM_VERSION="${PROJECT_VERSION}")
target_link_libraries(idmode-verify PRIVATE idm_verify)
target_link_options(idmode-verify PRIVATE -Wl,--as-needed)

# An example of what to do with it: built where its two libraries are.
pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3>=3.35)
if(IDM_TESTS AND MICROHTTPD_FOUND AND SQLITE_FOUND)
  file(GLOB CONTROL_PLANE_SOURCES CONFIGURE_DEPENDS examples/control-plane/*.c)
  add_executable(control-plane ${CONTROL_PLANE_SOURCES})
  target_link_libraries(control-plane PRIVATE idm_verify PkgConfig::MICROHTTPD PkgConfig::SQLITE)
  target_link_options(control-plane PRIVATE -Wl,--as-needed)
endif()
