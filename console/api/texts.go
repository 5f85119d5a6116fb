package api

import (
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// What a client reads of errors that always have the same text.
const (
	noMessage           = "the history has no such message"
	badConfiguration    = "the configuration has problems"
	tooLong             = "it took too long; try again"
	notAudited          = "the audit log cannot be written, so nothing was changed"
	noQueue             = "the configuration needs no queue, so there is none"
	noHeldNumber        = "not the number of a held message, such as h3"
	inQuarantine        = "the message is in quarantine: release it without plaintext"
	privateKeyInIt      = "there is a private key in it; import identities with smimerelay cert import on the gateway's host"
	tooManyCertificates = "more than 100 certificates at once; import them in parts, or with smimerelay cert import"
	badUntil            = "until: write a date in the future, such as 2027-01-31"
	onlyIssued          = "only a certificate that the built-in CA issued to an address can be revoked here; block another one"
	revokedBefore       = "it was revoked before"
	notCursor           = "not a cursor of this list"
)

// Texts are those of errors that the pages show in the language of the reader, beside Unable,
// NoHistory and NoFingerprint.
func Texts() []string {
	return []string{
		noMessage, badConfiguration, tooLong, notAudited, noQueue, noHeldNumber, inQuarantine, privateKeyInIt, tooManyCertificates, badUntil, onlyIssued, revokedBefore, notCursor,
		store.ErrNotFound.Error(), store.ErrNoKey.Error(), store.ErrLastKey.Error(), store.ErrBlocked.Error(), queue.ErrNotFound.Error(),
	}
}
