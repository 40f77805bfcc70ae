#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ek_cert.sh CA KEY OUT [SECTION] - an EK certificate as makers issue it, for the public key KEY (PEM), signed by
# the maker in the directory CA: OUT in DER. SECTION: what is other than it should be.
set -euo pipefail

ca=$1 key=$2 out=$3 section=${4:-good}
conf=$(mktemp)
trap 'rm -f "$conf" "$conf.csr" "$conf.key"' EXIT
cat >"$conf" <<'END'
[req]
distinguished_name = none
prompt = no
[none]
[good]
basicConstraints = critical,CA:FALSE
keyUsage = critical,keyAgreement
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical,dirName:tpm
2.5.29.9 = critical,DER:30:1c:30:1a:06:05:67:81:05:02:10:31:11:30:0f:0c:03:32:2e:30:02:01:00:02:02:00:8a:00:00
[eku_critical]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = critical,2.23.133.8.1
subjectAltName = critical,dirName:tpm
[no_eku]
basicConstraints = critical,CA:FALSE
keyUsage = critical,keyAgreement
subjectAltName = critical,dirName:tpm
[other_eku]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
subjectAltName = critical,dirName:tpm
[no_san]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = 2.23.133.8.1
subjectAltName = DNS:tpm.example
[ca]
basicConstraints = critical,CA:TRUE
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical,dirName:tpm
[signs]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical,dirName:tpm
[unknown_critical]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical,dirName:tpm
1.2.3.4.5 = critical,DER:05:00
[tpm]
name.2.23.133.2.1 = id:494E5443
name.2.23.133.2.2 = Chip
name.2.23.133.2.3 = id:00010002
END
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$conf.key" \
    -config "$conf" -subj / -out "$conf.csr" 2>/dev/null
openssl x509 -req -in "$conf.csr" -CA "$ca/issuer.pem" -CAkey "$ca/issuer.key" -CAcreateserial \
    -days 3650 -force_pubkey "$key" -extfile "$conf" -extensions "$section" -outform DER \
    -out "$out" 2>/dev/null
