package enforce

import (
	"cmp"
	"fmt"
	"slices"
)

// wholeMessage applies no_certificate = "reject-message": one recipient without
// a certificate, and no recipient gets the message; one of whom it is not known yet,
// and no recipient gets it now.
func wholeMessage(fates []*fate) {
	if t := find(fates, func(t *fate) bool { return t.rejectsAll() && !t.temporary }); t != nil {
		reason := "the message is not sent to any recipient: " + t.reason
		each(fates, func(o *fate) bool { return !o.rejectsAll() || o.temporary }, func(o *fate) {
			o.refuse(false, "", reason)
		})
		return
	}
	if t := find(fates, func(t *fate) bool { return t.rejectsAll() && t.temporary }); t != nil {
		reason := "the message waits for another recipient: " + t.reason
		each(fates, func(o *fate) bool { return o.disposition != refuse }, func(o *fate) {
			o.refuse(true, MissingCertificate, reason)
		})
	}
}

func (t *fate) rejectsAll() bool {
	return t.wantEncrypt == require && t.rule.missing == rejectMessage &&
		t.disposition == refuse && t.missing == MissingCertificate
}

// unmix sees to it that one text does not go to one recipient encrypted and to
// another in the clear, now or when a temporary refusal is tried again, unless
// every rule that encrypts tolerates it.
func unmix(fates []*fate) {
	holdEncrypted(fates)
	each(fates, (*fate).open, func(t *fate) {
		if closed := find(fates, func(o *fate) bool { return o.closed() && !o.tolerates(t) }); closed != nil {
			t.shutOut(closed)
		}
	})
	// What is a secret of one that must be encrypted is one of all: then nothing
	// gives way.
	if find(fates, (*fate).closed) == nil {
		giveWay(fates)
	}
	holdClear(fates)
}

// giveWay sends in the clear what is only preferred to be encrypted, where a text
// goes to one in the clear whom the rule does not tolerate: it is no secret, and a
// cipher text beside it is false comfort. Who gives way may be one whom another
// does not tolerate.
func giveWay(fates []*fate) {
	for again := true; again; {
		again = false
		each(fates, (*fate).yields, func(t *fate) {
			if find(fates, func(o *fate) bool { return o.open() && !t.tolerates(o) }) == nil {
				return
			}
			t.secrecy, t.usable, again = clear, nil, true
			t.remark("not encrypted: another recipient gets the message in plaintext")
		})
	}
}

// tolerates reports whether what is encrypted for t may go to o in the clear.
func (t *fate) tolerates(o *fate) bool { return t.rule.tolerates(o.to) }

func (r *rule) tolerates(to *RecipientFacts) bool {
	return r.mixed == mixedAllow || r.mixed == mixedInternal && to.Internal
}

func (r *rule) toleratesAll(list []*RecipientFacts) bool {
	return !slices.ContainsFunc(list, func(to *RecipientFacts) bool { return !r.tolerates(to) })
}

// open reports a recipient whose copy is in the clear, or will be.
func (t *fate) open() bool {
	return t.secrecy == clear && (t.disposition == send || t.temporary)
}

// closed reports a recipient whose copy must be encrypted, and is or will be,
// and beside which not everything may be in the clear.
func (t *fate) closed() bool {
	return t.secrecy == secret && t.wantEncrypt == require && t.rule.mixed != mixedAllow &&
		(t.disposition == send || t.disposition == held || t.temporary)
}

// yields reports a recipient whose encryption is only preferred and may give way.
func (t *fate) yields() bool { return t.secrecy == secret && t.wantEncrypt == prefer }

// waiting reports a recipient of whom it is not known yet whether there is a
// certificate.
func (t *fate) waiting() bool {
	return t.rule != nil && t.temporary && t.secrecy == undecided
}

func (t *fate) shutOut(by *fate) {
	t.refuse(false, "", fmt.Sprintf("the message is encrypted for other recipients (rule %q) and may not go to %s in plaintext; send a separate message to %s",
		by.rule.name, t.to.Address, t.to.Address))
}

// holdEncrypted defers encrypted copies, also those that would be held, while it
// is open whether another recipient is to get the text in the clear.
func holdEncrypted(fates []*fate) {
	each(fates, func(t *fate) bool {
		return (t.disposition == send || t.disposition == held) && t.secrecy == secret && !t.untouched
	}, func(t *fate) {
		if u := find(fates, func(u *fate) bool { return u.waiting() && u.wantEncrypt == prefer && !t.tolerates(u) }); u != nil {
			t.wait(u)
		}
	})
}

// holdClear defers copies in the clear while it is open whether another recipient's
// will be encrypted.
func holdClear(fates []*fate) {
	each(fates, func(t *fate) bool { return t.disposition == send && t.secrecy == clear }, func(t *fate) {
		if u := find(fates, func(u *fate) bool { return u.waiting() && !u.tolerates(t) }); u != nil {
			t.wait(u)
		}
	})
}

func (t *fate) wait(u *fate) {
	t.refuse(true, MissingCertificate, "the message waits for another recipient: "+u.reason)
}

// find returns the first fate, in the order of addresses, for which ok holds:
// reasons that cite another recipient must not depend on the order given.
func find(fates []*fate, ok func(*fate) bool) *fate {
	var first *fate
	for _, t := range fates {
		if ok(t) && (first == nil || t.before(first)) {
			first = t
		}
	}
	return first
}

func (t *fate) before(o *fate) bool {
	return cmp.Or(cmp.Compare(t.to.Address.String(), o.to.Address.String()), cmp.Compare(t.reason, o.reason)) < 0
}

func each(fates []*fate, ok func(*fate) bool, do func(*fate)) {
	for _, t := range fates {
		if ok(t) {
			do(t)
		}
	}
}
