package service

import "strings"

// pairRemedies say what to do about what crypto/tls says of two files.
var pairRemedies = []struct{ text, remedy string }{
	{"may have been switched", "exchange the two options: one names the certificate, the other its key"},
	{"found a certificate rather than a key", "name the file with the private key as the key"},
	{"PEM data in certificate input", "convert the certificate to PEM: openssl x509 -inform DER -in OLD -out NEW, or openssl pkcs12 -nokeys -in OLD -out NEW"},
	{"PEM data in key input", "convert the key to PEM: openssl pkey -inform DER -in OLD -out NEW, or openssl pkcs12 -nocerts -nodes -in OLD -out NEW"},
	{"parse private key", "the key must have no password: openssl pkey -in OLD -out NEW removes it"},
	{"does not match public key", "name the key of the first certificate of the chain, which is that of this server"},
}

// pairRemedy says what to do about a certificate and its key that cannot be used together.
func pairRemedy(err error) string {
	text := err.Error()
	for _, r := range pairRemedies {
		if strings.Contains(text, r.text) {
			return r.remedy
		}
	}
	if strings.Contains(text, "; ") {
		return "" // it says what to do
	}
	return "set a PEM chain and the matching private key"
}
