// Package certificates holds no code: its test reads certificates with internal/pkix
// and with libcrypto, and compares what the two understood.
package certificates
