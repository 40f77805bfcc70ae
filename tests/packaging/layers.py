# SPDX-License-Identifier: BSD-2-Clause
"""What can be said about the Yocto layer and the Buildroot package without bitbake and Buildroot.

layers.py yocto SOURCE INSTALLED    recipe against the sources and what `cmake --install` made
layers.py buildroot SOURCE          Config.in against idmode.mk against CMakeLists.txt
"""
import fnmatch
import hashlib
import os
import re
import sys

# What find_library and pkg_check_modules name, and who brings it.
YOCTO = {"libcrypto": "openssl", "libssl": "openssl", "tss2-esys": "tpm2-tss", "jansson": "jansson",
         "ubootenv": "libubootenv", "inotifytools": "inotify-tools"}
BUILDROOT = YOCTO
# CMake of each series of openembedded-core.
SERIES = {"kirkstone": (3, 22), "scarthgap": (3, 28)}
# Only for tests, examples and idmode-lab.
TESTS = {"criterion", "yaml-0.1", "fuse3", "libmicrohttpd", "sqlite3"}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def needed(source):
    """Packages of other projects that the programs for devices are built with."""
    found = set()
    for name in ["CMakeLists.txt"] + ["cmake/" + n for n in os.listdir(os.path.join(source, "cmake"))]:
        text = read(source, name)
        for names in re.findall(r"pkg_check_modules\(\w+ (?:REQUIRED )?(?:QUIET )?(?:IMPORTED_TARGET )?([^)]*)\)", text):
            found.add(re.split(r"[>=\s]", names)[0])
        found.update(re.findall(r"find_library\(\w+ ([\w-]+)", text))
    return found - TESTS


def version(source):
    return re.search(r"project\(idmode VERSION ([0-9.]+)", read(source, "CMakeLists.txt")).group(1)


def twice(words):
    return {w for w in words if words.count(w) > 1}


def variables(text):
    """VAR = "…" with continued lines, each said once, as are its words; bitbake's ${…} is left as it is."""
    text = text.replace("\\\n", " ")
    said = [(name, value.split()) for name, value in
            re.findall(r'^([\w:${}.-]+)\s*(?:\+?=\+?)\s*"([^"]*)"', text, re.M)]
    assert not twice([name for name, _ in said]), f"said twice: {twice([name for name, _ in said])}"
    for name, words in said:
        assert name.startswith(("SUMMARY", "INITSCRIPT_")) or not twice(words), f"{name}: twice {twice(words)}"
    return dict(said)


def expand(word):
    for name, value in (("${PN}", "idmode"), ("${bindir}", "/usr/bin"), ("${prefix}", "/usr"),
                        ("${datadir}", "/usr/share"), ("${libdir}", "/usr/lib"), ("${includedir}", "/usr/include"),
                        ("${mandir}", "/usr/share/man"), ("${systemd_system_unitdir}", "/usr/lib/systemd/system"),
                        ("${sysconfdir}", "/etc")):
        word = word.replace(name, value)
    assert "${" not in word, "unknown variable: " + word
    return word


def installed_files(root, recipe, source):
    """What `cmake --install` made and do_install:append adds. Debian's directories of architectures count as
    /usr/lib."""
    for path, target in re.findall(r"^\s+install .*\$\{S\}/(\S+) \$\{D\}(\S+)$", recipe, re.M):
        assert os.path.isfile(os.path.join(source, path)), f"nothing to install: {path}"
        yield expand(target)
    for directory, _, names in os.walk(root):
        for name in names:
            path = "/" + os.path.relpath(os.path.join(directory, name), root)
            yield re.sub(r"^/usr/lib/\w+-linux-gnu\w*/", "/usr/lib/", path)


def takes(pattern, path):
    """As bitbake's FILES: a directory takes what lies below it."""
    return fnmatch.fnmatch(path, pattern) or path.startswith(pattern.rstrip("/") + "/")


# What bitbake's own FILES:${PN}-dev and -doc take.
OF_BITBAKE = ["/usr/include", "/usr/lib/libidmode.so", "/usr/lib/pkgconfig", "/usr/share/man", "/usr/share/doc"]


def cmake_is_new_enough(source):
    wanted = re.search(r"cmake_minimum_required\(VERSION (\d+)\.(\d+)", read(source, "CMakeLists.txt"))
    layer = variables(read(source, "packaging/yocto/meta-idmode/conf/layer.conf"))
    for series in layer["LAYERSERIES_COMPAT_idmode"]:
        assert SERIES[series] >= tuple(map(int, wanted.groups())), f"{series}: its CMake is too old"


def somebody_boots(recipe, values):
    """Units where systemd runs them, the script where it does not."""
    assert "idmode-boot.service" in values["SYSTEMD_SERVICE:${PN}"]
    assert re.search(r"^inherit \$\{@bb\.utils\.contains\('DISTRO_FEATURES', 'systemd', '', 'update-rc\.d', d\)\}$",
                     recipe, re.M), "no update-rc.d without systemd"
    script = "${sysconfdir}/init.d/" + values["INITSCRIPT_NAME"][0]
    assert script in values["FILES:${PN}"] and "${D}" + script in recipe, f"nobody installs {script}"
    for package in values["SYSTEMD_PACKAGES"]:
        assert package == "${PN}" or "${PN}" in values.get("RDEPENDS:" + package, []), f"{package} without idmode"


def yocto(source, root):
    name = f"packaging/yocto/meta-idmode/recipes-security/idmode/idmode_{version(source)}.bb"
    recipe = read(source, name)
    assert recipe.count("{") == recipe.count("}") and recipe.count('"') % 2 == 0, "unbalanced"
    values = variables(recipe)
    cmake_is_new_enough(source)
    somebody_boots(recipe, values)
    missing = {YOCTO[n] for n in needed(source)} - set(values["DEPENDS"])
    assert not missing, f"DEPENDS lacks {missing}"
    with open(os.path.join(source, "LICENSE"), "rb") as file:
        md5 = hashlib.md5(file.read()).hexdigest()
    assert values["LIC_FILES_CHKSUM"] == [f"file://LICENSE;md5={md5}"], "LIC_FILES_CHKSUM: " + md5
    packages = {key[len("FILES:"):]: [expand(w) for w in value]
                for key, value in values.items() if key.startswith("FILES:")}
    named = {expand(w) for w in values["PACKAGES"]} | {"idmode"}
    assert {expand(p) for p in packages} == named, f"PACKAGES {named}, FILES of {set(packages)}"
    files = list(installed_files(root, recipe, source))
    for path in files:
        owners = [p for p, patterns in packages.items() if any(takes(x, path) for x in patterns)]
        if any(takes(x, path) for x in OF_BITBAKE):
            assert not owners, f"{path}: bitbake's own, and {owners}"
            continue
        assert len(owners) == 1, f"{path}: packages {owners}"
    for package, patterns in packages.items():
        for pattern in patterns:
            assert any(takes(pattern, p) for p in files), f"{package}: nothing is {pattern}"
    for key, units in values.items():
        if key.startswith("SYSTEMD_SERVICE:"):
            for unit in units:
                assert any(p.endswith("/" + unit) for p in files), f"no unit {unit}"


def buildroot(source):
    directory = os.path.join(source, "packaging/buildroot/package/idmode")
    makefile = read(directory, "idmode.mk")
    said = dict(re.findall(r"^(IDMODE_\w+) = (.*)$", makefile.replace("\\\n", " "), re.M))
    assert said["IDMODE_VERSION"] == version(source), said["IDMODE_VERSION"]
    dependencies = set(said["IDMODE_DEPENDENCIES"].split()) - {"host-pkgconf"}
    wanted = {BUILDROOT[n] for n in needed(source)}
    assert dependencies == wanted, f"IDMODE_DEPENDENCIES: {dependencies}, needed: {wanted}"
    selected = re.findall(r"select BR2_PACKAGE_(\w+)", read(directory, "Config.in"))
    assert not twice(selected), f"Config.in: twice {twice(selected)}"
    packages = {d.upper().replace("-", "_") for d in dependencies}
    # Buildroot's openssl is one of two; a provider is OpenSSL's.
    assert set(selected) == packages | {"OPENSSL_FORCE_LIBOPENSSL"}, f"Config.in selects {selected}"


if __name__ == "__main__":
    {"yocto": yocto, "buildroot": buildroot}[sys.argv[1]](*sys.argv[2:])
