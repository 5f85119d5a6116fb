package enforce

import (
	"cmp"
	"fmt"
)

// wholeMessage applies no_certificate = "reject-message": one recipient without
// a certificate, and nobody gets the message; one of whom it is not known yet,
// and nobody gets it now.
func wholeMessage(fates []*fate) {
	if t := find(fates, func(t *fate) bool { return t.rejectsAll() && !t.temporary }); t != nil {
		reason := "the message goes to nobody: " + t.reason
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
// every rule that encrypts allows it.
func unmix(fates []*fate) {
	holdEncrypted(fates)
	if open := find(fates, (*fate).open); open != nil {
		if closed := find(fates, (*fate).closed); closed != nil {
			each(fates, (*fate).open, func(t *fate) { t.shutOut(closed) })
		} else {
			each(fates, (*fate).yields, func(t *fate) {
				t.secrecy, t.usable = clear, nil
				t.remark("not encrypted: another recipient gets the message in the clear")
			})
		}
	}
	holdClear(fates)
}

// open reports a recipient whose copy is in the clear, or will be.
func (t *fate) open() bool {
	return t.secrecy == clear && (t.disposition == send || t.temporary)
}

// closed reports a recipient whose copy must be encrypted, and is or will be,
// and beside which nothing may be in the clear.
func (t *fate) closed() bool {
	return t.secrecy == secret && t.wantEncrypt == require && !t.rule.mixed &&
		(t.disposition == send || t.disposition == held || t.temporary)
}

// yields reports a recipient whose encryption is only preferred and gives way:
// a text that goes to one in the clear is no secret, and a cipher text beside it
// is false comfort.
func (t *fate) yields() bool {
	return t.secrecy == secret && t.wantEncrypt == prefer && !t.rule.mixed
}

// waiting reports a recipient of whom it is not known yet whether there is a
// certificate.
func (t *fate) waiting() bool {
	return t.rule != nil && t.temporary && t.secrecy == undecided
}

func (t *fate) shutOut(by *fate) {
	t.refuse(false, "", fmt.Sprintf("the message is encrypted for other recipients (rule %q) and may not go to %s in the clear",
		by.rule.name, t.to.Address))
}

// holdEncrypted defers encrypted copies, also those that would be held, while it
// is open whether somebody else is to get the text in the clear.
func holdEncrypted(fates []*fate) {
	u := find(fates, func(t *fate) bool { return t.waiting() && t.wantEncrypt == prefer })
	if u == nil {
		return
	}
	each(fates, func(t *fate) bool {
		return (t.disposition == send || t.disposition == held) && t.secrecy == secret && !t.untouched && !t.rule.mixed
	},
		func(t *fate) { t.wait(u) })
}

// holdClear defers copies in the clear while it is open whether somebody else's
// will be encrypted.
func holdClear(fates []*fate) {
	u := find(fates, func(t *fate) bool { return t.waiting() && !t.rule.mixed })
	if u == nil {
		return
	}
	each(fates, func(t *fate) bool { return t.disposition == send && t.secrecy == clear },
		func(t *fate) { t.wait(u) })
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
