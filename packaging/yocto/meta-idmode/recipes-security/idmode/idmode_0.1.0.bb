# SPDX-License-Identifier: BSD-2-Clause
SUMMARY = "Keeps a device's identity across images, resets and chips"
LICENSE = "BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=47ec4b4747ebc28c24ee031c13fbc6ad"

# The sources that this layer came with.
inherit externalsrc
EXTERNALSRC = "${@os.path.abspath(os.path.join(d.getVar('THISDIR'), '../../../../..'))}"

# openembedded-core: openssl, libubootenv; meta-oe: jansson, inotify-tools; meta-tpm: tpm2-tss
DEPENDS = "openssl tpm2-tss jansson libubootenv inotify-tools"

inherit cmake pkgconfig systemd useradd
# Where systemd does not run the units, an init that runs /etc/init.d does: without either nobody decides. Both
# would be two of each daemon.
inherit ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', '', 'update-rc.d', d)}

EXTRA_OECMAKE = " \
    -DCMAKE_BUILD_TYPE=MinSizeRel \
    -DIDM_TESTS=OFF \
    -DIDM_WERROR=OFF \
    -DIDM_UNIT_DIR=${systemd_system_unitdir} \
"

# Certificates are not issued under a clock behind this; bitbake sets it from the sources.
do_configure[vardeps] += "SOURCE_DATE_EPOCH"

do_install:append() {
    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'false', 'true', d)}; then
        install -D -m 0755 ${S}/packaging/busybox/S20idmode ${D}${sysconfdir}/init.d/idmode
    fi
}

PACKAGES =+ "${PN}-mender ${PN}-openssl ${PN}-rauc ${PN}-signd ${PN}-swupdate ${PN}-verify ${PN}-watch lib${PN}"

FILES:${PN} = " \
    ${bindir}/idmode \
    ${prefix}/libexec/idmode/attest \
    ${prefix}/libexec/idmode/bootenv \
    ${prefix}/libexec/idmode/core \
    ${sysconfdir}/init.d/idmode \
    ${systemd_system_unitdir}/idmode-boot.service \
    ${systemd_system_unitdir}/idmode-clock.service \
    ${systemd_system_unitdir}/idmode-clock.timer \
    ${systemd_system_unitdir}/idmode-commit.service \
    ${systemd_system_unitdir}/idmode-reload.path \
    ${systemd_system_unitdir}/idmode-reload.service \
    ${prefix}/lib/sysusers.d/idmode.conf \
    ${prefix}/lib/tmpfiles.d/idmode.conf \
    ${prefix}/lib/idmode/hooks/eve \
    ${prefix}/lib/idmode/hooks/shell \
    ${datadir}/bash-completion \
    ${datadir}/zsh \
    ${datadir}/idmode/hooks.d \
    ${datadir}/idmode/status.schema.json \
"
FILES:${PN}-openssl = "${libdir}/ossl-modules/idmode.so ${datadir}/idmode/openssl.cnf"
FILES:${PN}-rauc = "${prefix}/lib/idmode/hooks/rauc ${systemd_system_unitdir}/rauc-mark-good.service.d"
FILES:${PN}-signd = " \
    ${bindir}/idmode-signd \
    ${systemd_system_unitdir}/idmode-signd.service \
    ${systemd_system_unitdir}/idmode-signd.socket \
"
FILES:${PN}-swupdate = "${prefix}/lib/idmode/hooks/swupdate"
FILES:${PN}-mender = "${datadir}/idmode/hooks/mender"
FILES:${PN}-verify = "${bindir}/idmode-verify"
FILES:${PN}-watch = "${bindir}/idmode-watch ${systemd_system_unitdir}/idmode-watch.service"
FILES:lib${PN} = "${libdir}/libidmode.so.*"

RDEPENDS:${PN} = "libtss2-tcti-device"
RRECOMMENDS:${PN} = "${PN}-mender ${PN}-openssl ${PN}-signd"

RDEPENDS:${PN}-rauc = "${PN} rauc"
RDEPENDS:${PN}-mender = "${PN}"
RDEPENDS:${PN}-signd = "${PN}"
RDEPENDS:${PN}-swupdate = "${PN} swupdate"
RDEPENDS:${PN}-watch = "${PN}"

SYSTEMD_PACKAGES = "${PN} ${PN}-signd ${PN}-watch"
SYSTEMD_SERVICE:${PN} = "idmode-boot.service idmode-clock.timer"
SYSTEMD_SERVICE:${PN}-signd = "idmode-signd.socket"
SYSTEMD_SERVICE:${PN}-watch = "idmode-watch.service"

# After mounts, device nodes, modules and the clock of rcS.d, before the network and the updater of rc5.d.
INITSCRIPT_NAME = "idmode"
INITSCRIPT_PARAMS = "start 40 S . stop 60 0 1 6 ."

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system idmode"
