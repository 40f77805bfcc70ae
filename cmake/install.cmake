# SPDX-License-Identifier: BSD-2-Clause
# What `cmake --install` puts where. tests/packaging/install.txt lists it all, packaging/debian splits it.
# Units and the like call programs in /usr/bin: install with CMAKE_INSTALL_PREFIX=/usr.

set(IDM_UNIT_DIR lib/systemd/system CACHE STRING "where systemd's units go (Debian 12: /lib/systemd/system)")

# idmode looks for ../libexec/idmode/core and attest, the first for bootenv beside it.
install(TARGETS idmode idmode-signd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS core attest bootenv RUNTIME DESTINATION libexec/idmode LIBRARY DESTINATION libexec/idmode)
foreach(program idmode-watch idmode-verify)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# ---- TLS -----------------------------------------------------------------------------------------
set(IDM_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
configure_file(include/idmode.pc.in ${CMAKE_BINARY_DIR}/lib/pkgconfig/idmode.pc @ONLY)
install(TARGETS libidmode LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS provider LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ossl-modules)
install(FILES include/idmode.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/lib/pkgconfig/idmode.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY share/idmode/ DESTINATION ${CMAKE_INSTALL_DATADIR}/idmode USE_SOURCE_PERMISSIONS)

# ---- manual, units -------------------------------------------------------------------------------
install(DIRECTORY man/ DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES packaging/completions/idmode.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME idmode)
install(FILES packaging/completions/_idmode DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
file(GLOB UNITS CONFIGURE_DEPENDS packaging/systemd/*.service packaging/systemd/*.socket
  packaging/systemd/*.path packaging/systemd/*.timer)
install(FILES ${UNITS} DESTINATION ${IDM_UNIT_DIR})
install(FILES packaging/systemd/rauc-mark-good.conf
  DESTINATION ${IDM_UNIT_DIR}/rauc-mark-good.service.d RENAME idmode.conf)
install(FILES packaging/systemd/idmode.sysusers DESTINATION lib/sysusers.d RENAME idmode.conf)
install(FILES packaging/systemd/idmode.tmpfiles DESTINATION lib/tmpfiles.d RENAME idmode.conf)

# ---- what updaters call --------------------------------------------------------------------------
install(DIRECTORY hooks/rauc hooks/swupdate hooks/shell hooks/eve DESTINATION lib/idmode/hooks USE_SOURCE_PERMISSIONS
  PATTERN README.md EXCLUDE)
# Mender's belong where it looks for them, and into artifacts: hooks/mender/README.md.
install(DIRECTORY hooks/mender DESTINATION ${CMAKE_INSTALL_DATADIR}/idmode/hooks USE_SOURCE_PERMISSIONS
  PATTERN README.md EXCLUDE)

# ---- idmode-lab ----------------------------------------------------------------------------------
# Only where it was built to be installed: the one for tests finds its programs in the build directory.
if(IDM_LAB AND NOT IDM_TESTS)
  install(TARGETS idmode-lab RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(TARGETS cut clock disk tcti_shim LIBRARY DESTINATION ${IDM_LAB_DIR}/tests)
  install(TARGETS idm-kill RUNTIME DESTINATION ${IDM_LAB_DIR}/bin)
  file(RELATIVE_PATH program ${IDM_LAB_DIR}/bin ${CMAKE_INSTALL_FULL_BINDIR}/idmode)
  install(CODE "file(MAKE_DIRECTORY \$ENV{DESTDIR}${IDM_LAB_DIR}/bin)
    file(CREATE_LINK ${program} \$ENV{DESTDIR}${IDM_LAB_DIR}/bin/idmode SYMBOLIC)")
  install(DIRECTORY tests/scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/idmode-lab)
endif()
