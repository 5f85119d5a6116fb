package smime

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// maxTrials limits the private key operations that one message can cause.
const maxTrials = 16

// trial is a recipient info that one of our identities may open.
type trial struct {
	recipient int
	identity  *certs.Identity
}

// decrypt opens an enveloped-data object, which could be read if err is nil, by open. It
// reports false where it stays closed; the report says why. Everything that happens after
// an identity was found has one reason, so that no one can learn from it (RFC 8551 section
// 6). own is that of openEnveloped.
func (w *walker) decrypt(env *cms.EnvelopedData, err error, own bool, open decrypter) (ok bool) {
	w.encrypted = true
	w.ignored = len(w.signatures) > 0
	w.signatures = nil
	if err != nil {
		w.stop(certs.PermError, ReasonMalformed, err.Error())
		return false
	}
	w.report.Layers = append(w.report.Layers, "enveloped")
	if w.report.Encryption == nil {
		w.report.Encryption = describe(env)
	}
	trials, err := w.trials(env)
	switch {
	case err != nil:
		w.unreachable(err)
		return false
	case len(trials) == 0:
		w.stop(certs.None, ReasonNoKey, "it is encrypted to "+addressees(env)+", and no identity at hand is one of these")
		return false
	}
	return w.try(trials, own, open)
}

// A decrypter decrypts by a recipient info.
type decrypter func(recipient int, key crypto.PrivateKey, o cms.DecryptOptions) error

// trials finds the identities that the recipient infos name.
func (w *walker) trials(env *cms.EnvelopedData) ([]trial, error) {
	var list []trial
	if w.options.Keys == nil {
		return nil, nil
	}
	for i, r := range env.Recipients {
		if r.Unsupported != "" {
			continue
		}
		found, err := w.options.Keys.Decryption(w.ctx, r.ID)
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			if len(list) == maxTrials {
				return list, nil
			}
			list = append(list, trial{i, id})
		}
	}
	return list, nil
}

// maxAddressees is how many recipients of a message an explanation names.
const maxAddressees = 3

// addressees names the certificates that a message is encrypted to, as it does.
func addressees(env *cms.EnvelopedData) string {
	var list []string
	for _, r := range env.Recipients[:min(len(env.Recipients), maxAddressees)] {
		list = append(list, addressee(r))
	}
	if more := len(env.Recipients) - maxAddressees; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	if len(list) == 0 {
		return "no recipient"
	}
	return strings.Join(list, " and ")
}

// addressee names one of them.
func addressee(r cms.RecipientInfo) string {
	switch {
	case r.ID.RawIssuer != nil:
		return fmt.Sprintf("serial %.40x of issuer %.100q", bytes.TrimLeft(r.ID.Serial, "\x00"), pkix.NameString(r.ID.RawIssuer))
	case r.ID.SubjectKeyID != nil:
		return fmt.Sprintf("key identifier %.40x", r.ID.SubjectKeyID)
	}
	return "a key without a certificate (" + string(r.KeyManagement) + ")"
}

// unreachable ends the walk because our keys cannot be asked.
func (w *walker) unreachable(err error) {
	w.keyError = err
	w.stop(certs.TempError, ReasonKeyStore, "the keys cannot be reached now")
}

// ready asks the devices of all identities that a message names whether they
// answer, before any of them is given something to decrypt: what is made of the
// message as a whole must not tell what one key made of it while another is away.
func ready(trials []trial) error {
	for _, t := range trials {
		if d, ok := t.identity.Key.(cms.Device); ok {
			if err := d.Ready(); err != nil {
				return err
			}
		}
	}
	return nil
}

// try decrypts with the first identity that can. Octets that are not the object's
// own are part of a message, which never changes.
func (w *walker) try(trials []trial, own bool, decrypt decrypter) (ok bool) {
	if err := ready(trials); err != nil {
		w.unreachable(err)
		return false
	}
	var open error // what the message and the kinds of the keys say openly
	for _, t := range trials {
		err := decrypt(t.recipient, t.identity.Key, cms.DecryptOptions{
			AllowWeak: w.options.AllowWeak,
			InPlace:   own && len(trials) == 1,
		})
		switch {
		case err == nil:
			if w.report.Encryption.readBy == nil { // else an inner layer's key
				w.report.Encryption.readBy = t.identity.Certificate
			}
			return true
		case errors.Is(err, cms.ErrDevice):
			w.unreachable(err)
			return false
		case errors.Is(err, cms.ErrWeak), errors.Is(err, cms.ErrNotApproved), open == nil && errors.Is(err, cms.ErrUnsupported):
			open = err
		}
	}
	switch {
	case errors.Is(open, cms.ErrWeak):
		w.stop(certs.PolicyNo, ReasonWeakCipher, open.Error())
	case errors.Is(open, cms.ErrNotApproved):
		w.stop(certs.PolicyNo, ReasonNotApproved, open.Error())
	case open != nil:
		w.stop(certs.PermError, ReasonUnsupported, open.Error())
	default:
		w.stop(certs.PermError, ReasonDecrypt, "")
	}
	return false
}
