// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652) and
// the algorithms that S/MIME 4.0 (RFC 8551) asks for. It knows bytes, keys and
// certificates only: no mail, no files, no network, no clock.
package cms
