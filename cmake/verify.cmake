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
