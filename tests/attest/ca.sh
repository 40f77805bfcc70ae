#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ca.sh NAME - a chip maker for tests, in a new directory NAME: root.pem, issuer.pem, and setup.conf, with which
# swtpm_setup makes chips whose EK certificates are this maker's.
set -euo pipefail

mkdir "$1"
cd "$1"
here=$PWD
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem \
    -subj "/CN=$(basename "$1") root" -days 3650 -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout issuer.key -out issuer.csr \
    -subj "/CN=$(basename "$1") issuer" 2>/dev/null
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' >issuer.ext
openssl x509 -req -in issuer.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3650 \
    -extfile issuer.ext -out issuer.pem 2>/dev/null
cat root.pem issuer.pem >both.pem
cat >localca.conf <<END
statedir = $here
signingkey = $here/issuer.key
issuercert = $here/issuer.pem
certserial = $here/serial
END
: >localca.options
cat >setup.conf <<END
create_certs_tool = $(command -v swtpm_localca)
create_certs_tool_config = $here/localca.conf
create_certs_tool_options = $here/localca.options
active_pcr_banks = sha256
END
