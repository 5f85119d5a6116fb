/*
 * cms measures libcrypto's CMS from MIME message to MIME message, in memory.
 *
 *   cms OPERATION MESSAGE KEY SECONDS CERTIFICATE...
 *
 * OPERATION is sign, verify, encrypt, decrypt or signencrypt; MESSAGE a file:
 * an entity to work on, or for verify and decrypt an S/MIME message. KEY is a
 * PEM file with the key and the certificate of its owner, or "-"; the
 * certificates are the recipients, for verify the trust anchors. It prints the
 * nanoseconds that one operation took, by the best of the rounds that fit into
 * the seconds, or of five; the first is not measured.
 */
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct job {
	unsigned char *message;
	long size;
	EVP_PKEY *key;
	X509 *owner;
	STACK_OF(X509) *certificates;
	X509_STORE *anchors;
};

static void fail(const char *what)
{
	fprintf(stderr, "cms: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static BIO *input(const void *bytes, long size)
{
	BIO *in = BIO_new_mem_buf(bytes, (int)size);
	if (in == NULL)
		fail("memory");
	return in;
}

/* emit writes an object as an S/MIME message, as `openssl cms` does. */
static BIO *emit(CMS_ContentInfo *cms, BIO *content, int flags)
{
	BIO *out = BIO_new(BIO_s_mem());
	if (cms == NULL || out == NULL || !SMIME_write_CMS(out, cms, content, flags))
		fail("write");
	CMS_ContentInfo_free(cms);
	return out;
}

static BIO *sign(const struct job *j)
{
	const int flags = CMS_DETACHED | CMS_STREAM | CMS_BINARY;
	BIO *in = input(j->message, j->size);
	BIO *out = emit(CMS_sign(j->owner, j->key, NULL, in, flags), in, flags);
	BIO_free(in);
	return out;
}

static BIO *encrypt(const struct job *j, BIO *in)
{
	const int flags = CMS_STREAM | CMS_BINARY;
	return emit(CMS_encrypt(j->certificates, in, EVP_aes_256_cbc(), flags), in, flags);
}

static BIO *verify(const struct job *j)
{
	BIO *content = NULL, *in = input(j->message, j->size), *out = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = SMIME_read_CMS(in, &content);
	if (cms == NULL || !CMS_verify(cms, NULL, j->anchors, content, out, CMS_BINARY))
		fail("verify");
	CMS_ContentInfo_free(cms);
	BIO_free(content);
	BIO_free(in);
	return out;
}

static BIO *decrypt(const struct job *j)
{
	BIO *in = input(j->message, j->size), *out = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = SMIME_read_CMS(in, NULL);
	if (cms == NULL || !CMS_decrypt(cms, j->key, j->owner, NULL, out, CMS_BINARY))
		fail("decrypt");
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	return out;
}

static BIO *perform(const char *operation, const struct job *j)
{
	BIO *in, *out;
	if (strcmp(operation, "sign") == 0)
		return sign(j);
	if (strcmp(operation, "verify") == 0)
		return verify(j);
	if (strcmp(operation, "decrypt") == 0)
		return decrypt(j);
	in = strcmp(operation, "signencrypt") == 0 ? sign(j) : input(j->message, j->size);
	out = encrypt(j, in);
	BIO_free(in);
	return out;
}

static void load_message(struct job *j, const char *name)
{
	FILE *f = fopen(name, "rb");
	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (j->size = ftell(f)) < 0)
		fail(name);
	rewind(f);
	j->message = malloc((size_t)j->size + 1);
	if (j->message == NULL || fread(j->message, 1, (size_t)j->size, f) != (size_t)j->size)
		fail(name);
	fclose(f);
}

static void load_key(struct job *j, const char *name)
{
	BIO *in = BIO_new_file(name, "r");
	if (in == NULL || (j->key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL)) == NULL)
		fail(name);
	BIO_free(in);
	in = BIO_new_file(name, "r");
	if (in == NULL || (j->owner = PEM_read_bio_X509(in, NULL, NULL, NULL)) == NULL)
		fail(name);
	BIO_free(in);
}

static void load_certificate(struct job *j, const char *name)
{
	BIO *in = BIO_new_file(name, "r");
	X509 *certificate = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
	if (certificate == NULL || !sk_X509_push(j->certificates, certificate) ||
	    !X509_STORE_add_cert(j->anchors, certificate))
		fail(name);
	BIO_free(in);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct job j = {0};
	double best = 0, end;
	int i, round;

	if (argc < 5) {
		fprintf(stderr, "usage: cms OPERATION MESSAGE KEY SECONDS CERTIFICATE...\n");
		return 2;
	}
	j.certificates = sk_X509_new_null();
	j.anchors = X509_STORE_new();
	load_message(&j, argv[2]);
	if (strcmp(argv[3], "-") != 0)
		load_key(&j, argv[3]);
	for (i = 5; i < argc; i++)
		load_certificate(&j, argv[i]);

	BIO_free(perform(argv[1], &j));
	end = now() + atof(argv[4]) * 1e9;
	for (round = 0; round < 5 || now() < end; round++) {
		double start = now();
		BIO *out = perform(argv[1], &j);
		double took = now() - start;
		BIO_free(out);
		if (best == 0 || took < best)
			best = took;
	}
	printf("%.0f\n", best);
	return 0;
}
