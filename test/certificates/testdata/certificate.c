/* certificate.c reads certificates with libcrypto and prints what it understood.
 *
 * Standard input: frames of a length (four octets, big endian) and as many octets
 * of DER. Standard output: one line a frame, "refused REASON" or fields separated by
 * tabs. The test beside it compares them with what internal/pkix reads. */
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hex(const unsigned char *b, long n) {
	for (long i = 0; i < n; i++) printf("%02x", b[i]);
}

static void name(const X509_NAME *n) {
	const unsigned char *der;
	size_t len;
	if (X509_NAME_get0_der((X509_NAME *)n, &der, &len)) hex(der, (long)len);
}

static void stamp(const ASN1_TIME *t) {
	struct tm tm;
	if (ASN1_TIME_to_tm(t, &tm)) printf("%04d%02d%02d%02d%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	else printf("bad");
}

static void addresses(X509 *c) {
	int critical;
	GENERAL_NAMES *names = X509_get_ext_d2i(c, NID_subject_alt_name, &critical, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		if (n->type == GEN_EMAIL) { hex(n->d.ia5->data, n->d.ia5->length); putchar(','); }
	}
	GENERAL_NAMES_free(names);
}

static void key(X509 *c) {
	unsigned char *der = NULL;
	EVP_PKEY *k = X509_get0_pubkey(c);
	int n;
	if (k == NULL) { printf("none"); return; }
	n = i2d_PUBKEY(k, &der);
	printf("%d:", EVP_PKEY_get_bits(k));
	if (n > 0) hex(der, n);
	OPENSSL_free(der);
}

/* invalid names the first extension that libcrypto cannot decode or finds twice. */
static const char *invalid(X509 *c) {
	for (int i = 0; i < X509_get_ext_count(c); i++) {
		X509_EXTENSION *e = X509_get_ext(c, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e)), critical;
		void *value;
		if (X509V3_EXT_get_nid(nid) == NULL) continue;
		value = X509_get_ext_d2i(c, nid, &critical, NULL);
		if (value == NULL) return OBJ_nid2ln(nid);
		X509V3_EXT_METHOD const *m = X509V3_EXT_get_nid(nid);
		if (m->it) ASN1_item_free(value, ASN1_ITEM_ptr(m->it));
	}
	return "meaning of extensions";
}

static void show(X509 *c) {
	ASN1_INTEGER *serial = X509_get_serialNumber(c);
	const ASN1_OCTET_STRING *id;
	uint32_t flags = X509_get_extension_flags(c);
	if (flags & EXFLAG_INVALID) { printf("refused %s\n", invalid(c)); return; }
	printf("read");
	printf("\tserial=%s", (serial->type & V_ASN1_NEG) ? "-" : "");
	hex(serial->data, serial->length);
	printf("\tissuer="); name(X509_get_issuer_name(c));
	printf("\tsubject="); name(X509_get_subject_name(c));
	printf("\tfrom="); stamp(X509_get0_notBefore(c));
	printf("\tuntil="); stamp(X509_get0_notAfter(c));
	printf("\tkey="); key(c);
	printf("\tusage=");
	if (flags & EXFLAG_KUSAGE) printf("%03x", X509_get_key_usage(c) & 0x80ff); else printf("none");
	printf("\text=");
	if (flags & EXFLAG_XKUSAGE) printf("%d", (X509_get_extended_key_usage(c) & XKU_SMIME) != 0); else printf("none");
	printf("\tca=%d", (flags & EXFLAG_CA) != 0);
	printf("\tpath=%ld", (flags & EXFLAG_CA) ? X509_get_pathlen(c) : -1);
	printf("\tskid=");
	if ((id = X509_get0_subject_key_id(c)) != NULL) hex(id->data, id->length);
	printf("\taddresses="); addresses(c);
	putchar('\n');
}

/* why is the first error, which is the innermost. */
static const char *why(void) {
	const char *text = ERR_reason_error_string(ERR_peek_error());
	return text ? text : "an error without text";
}

int main(void) {
	unsigned char head[4];
	while (fread(head, 1, 4, stdin) == 4) {
		long n = (long)head[0] << 24 | (long)head[1] << 16 | (long)head[2] << 8 | head[3];
		unsigned char *der = malloc(n ? n : 1);
		const unsigned char *p = der;
		X509 *c;
		if (der == NULL || (long)fread(der, 1, n, stdin) != n) return 1;
		c = d2i_X509(NULL, &p, n);
		if (c != NULL && p != der + n) printf("refused trailing octets\n");
		else if (c != NULL) show(c);
		else printf("refused %s\n", why());
		X509_free(c);
		ERR_clear_error();
		fflush(stdout);
		free(der);
	}
	return 0;
}
