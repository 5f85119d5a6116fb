// Package guide types the commands of docs/guide.md in a fresh Debian, from the package
// that is built here to mail that another S/MIME program decrypts and verifies. It takes
// some minutes and needs root: make guide.
package guide
