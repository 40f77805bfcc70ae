# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Cases of package_layers.c: see package_script.h.

readonly LAYERS="$SOURCE/tests/packaging/layers.py"
readonly LAYER=packaging/yocto/meta-idmode
readonly RECIPES=$LAYER/recipes-security/idmode

recipe_is_that_of_the_sources() {
    DESTDIR=$WORK/installed cmake --install "$BUILD" --prefix /usr >/dev/null
    python3 "$LAYERS" yocto "$SOURCE" "$WORK/installed"
    # It would be seen.
    local change recipe
    recipe=$(cd "$SOURCE" && echo "$RECIPES"/idmode_*.bb)
    mkdir changed
    cp -r "$SOURCE"/{CMakeLists.txt,cmake,LICENSE,packaging} changed/
    for change in 's,[^ ]*ossl-modules/idmode.so,,' 's/tpm2-tss//' 's/md5=./md5=x/' 's,/idmode .$,/idmod \\\\,' \
        's/-signd /-sign /' 's/"idmode-signd.socket"/"idmode-signd.sockets"/' \
        '/^RDEPENDS:.*-signd/d' '/^FILES:.*-watch/p' 's,^ *[^ ]*/idmode .$,&\n&,' '/^inherit.*update-rc.d/d' \
        's/S20idmode/S2idmode/' '/^ *[^ ]*init.d/d'; do
        sed "$change" "$SOURCE/$recipe" >"changed/$recipe"
        cmp -s "$SOURCE/$recipe" "changed/$recipe" && { echo "changes nothing: $change"; return 1; }
        ! python3 "$LAYERS" yocto "$WORK/changed" "$WORK/installed" 2>/dev/null ||
            { echo "not seen: $change"; return 1; }
    done
    cp "$SOURCE/$recipe" "changed/$recipe"
    python3 "$LAYERS" yocto "$WORK/changed" "$WORK/installed"
    sed -i '/^LAYERSERIES/s/scarthgap/kirkstone &/' "changed/$LAYER/conf/layer.conf"
    ! python3 "$LAYERS" yocto "$WORK/changed" "$WORK/installed" 2>said
    grep 'kirkstone: its CMake is too old' said
}

buildroot_package_is_that_of_the_sources() {
    python3 "$LAYERS" buildroot "$SOURCE"
}

# make reads the package; the infrastructure's call and variables stand in for Buildroot.
make_reads_the_package() {
    cat >Makefile <<'MAKE'
BR2_EXTERNAL_IDMODE_PATH = $(SOURCE)/packaging/buildroot
INSTALL = install
TARGET_DIR = $(WORK)/target
cmake-package = CALLED = yes
include $(BR2_EXTERNAL_IDMODE_PATH)/external.mk
$(SOURCE)/all:
	@test "$(CALLED)" = yes
	@test -f $(IDMODE_SITE)/CMakeLists.txt
	@test -f $(IDMODE_SITE)/$(IDMODE_LICENSE_FILES)
	@test -n "$(IDMODE_USERS)"
	$(IDMODE_INSTALL_INIT_SYSV)
MAKE
    make --warn-undefined-variables 2>said || { cat said; return 1; }
    [[ ! -s said && -x target/etc/init.d/S20idmode ]]
}

"$1"
