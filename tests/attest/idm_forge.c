/* SPDX-License-Identifier: BSD-2-Clause */
/* idm-forge - a chip in software that tries to be taken for a real one.
 *
 *     idm-forge ak FILE                an AK document; its key goes to FILE
 *     idm-forge evidence FILE NONCE    evidence by that AK. It never learns the secret, so it guesses one
 */
#include "tests/attest/forge.h"

#include "verify/text.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

static void load_ak(struct forge *f, const char *path)
{
    uint8_t point[65];
    size_t size = 0;
    FILE *file = fopen(path, "re");
    FORGE_MUST(file);
    EVP_PKEY_free(f->ak_key);
    f->ak_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    FORGE_MUST(f->ak_key && fclose(file) == 0);
    FORGE_MUST(EVP_PKEY_get_octet_string_param(f->ak_key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                               sizeof point, &size) == 1 &&
               size == sizeof point && point[0] == 4);
    memcpy(f->ak.publicArea.unique.ecc.x.buffer, point + 1, 32);
    memcpy(f->ak.publicArea.unique.ecc.y.buffer, point + 33, 32);
}

int main(int argc, char **argv)
{
    struct forge f;
    struct idm_bytes text = {0};
    bool evidence = argc == 4 && strcmp(argv[1], "evidence") == 0;
    if (!evidence && (argc != 3 || strcmp(argv[1], "ak") != 0)) {
        (void)fprintf(stderr, "usage: idm-forge ak FILE | evidence FILE NONCE\n");
        return 2;
    }
    forge_make(&f);
    if (evidence) {
        load_ak(&f, argv[2]);
        FORGE_MUST(idm_text_hex(argv[3], &f.nonce) == 0);
        forge_evidence(&f, &text);
    } else {
        FILE *file = fopen(argv[2], "we");
        FORGE_MUST(file && PEM_write_PrivateKey(file, f.ak_key, NULL, NULL, 0, NULL, NULL) == 1 &&
                   fclose(file) == 0);
        forge_ak_document(&f, &text);
    }
    (void)puts((const char *)text.data);
    idm_bytes_free(&text);
    forge_free(&f);
    return 0;
}
