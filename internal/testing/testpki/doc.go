// Package testpki makes small certificate authorities, identities and revocation
// lists, for tests and for the demonstration set-up. Every key it makes is
// thrown away with the folder it was made for.
package testpki
