// Package enrolment holds the whole-system tests of certificates that come, are renewed and are found by
// themselves: the real binary with each provider, the listeners of the built-in CA under attack, and what
// is published, found by programs of others.
package enrolment
