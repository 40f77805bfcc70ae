# SPDX-License-Identifier: BSD-2-Clause
################################################################################
#
# idmode
#
################################################################################

IDMODE_VERSION = 0.1.0
IDMODE_SITE = $(BR2_EXTERNAL_IDMODE_PATH)/../..
IDMODE_SITE_METHOD = local
IDMODE_LICENSE = BSD-2-Clause
IDMODE_LICENSE_FILES = LICENSE
IDMODE_DEPENDENCIES = host-pkgconf inotify-tools jansson libubootenv openssl tpm2-tss
IDMODE_INSTALL_STAGING = YES
IDMODE_CONF_OPTS = \
	-DCMAKE_BUILD_TYPE=MinSizeRel \
	-DIDM_TESTS=OFF \
	-DIDM_WERROR=OFF

# Members have TLS signatures from idmode-signd.
define IDMODE_USERS
	- - idmode -1 - - - - Device identity
endef

# After the mounts and mdev (S10), before the network (S40).
define IDMODE_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/packaging/busybox/S20idmode \
		$(TARGET_DIR)/etc/init.d/S20idmode
endef

$(eval $(cmake-package))
