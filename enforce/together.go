package enforce

import (
	"cmp"
	"fmt"
	"slices"
)

// wholeMessage applies no_certificate = "reject-message": one recipient without
// a certificate, and no recipient gets the message; one of whom it is not known yet,
// and no recipient gets it now.
func wholeMessage(decisions []*decision) {
	if t := find(decisions, func(t *decision) bool { return t.rejectsAll() && !t.temporary }); t != nil {
		reason := "the message is not sent to any recipient: " + t.reason
		each(decisions, func(o *decision) bool { return !o.rejectsAll() || o.temporary }, func(o *decision) {
			o.refuse(false, "", reason)
		})
		return
	}
	if t := find(decisions, func(t *decision) bool { return t.rejectsAll() && t.temporary }); t != nil {
		reason := "the message waits for another recipient: " + t.reason
		each(decisions, func(o *decision) bool { return o.disposition != refuse }, func(o *decision) {
			o.refuse(true, MissingCertificate, reason)
		})
	}
}

func (t *decision) rejectsAll() bool {
	return t.wantEncrypt == require && t.rule.missing == rejectMessage &&
		t.disposition == refuse && t.missing == MissingCertificate
}

// forbidMixed sees to it that one text does not go to one recipient encrypted and to
// another in the clear, now or when a temporary refusal is tried again, unless
// every rule that encrypts tolerates it.
func forbidMixed(decisions []*decision) {
	holdEncrypted(decisions)
	each(decisions, (*decision).open, func(t *decision) {
		if closed := find(decisions, func(o *decision) bool { return o.closed() && !o.tolerates(t) }); closed != nil {
			t.shutOut(closed)
		}
	})
	// What is a secret of one that must be encrypted is one of all: then nothing
	// gives way.
	if find(decisions, (*decision).closed) == nil {
		giveWay(decisions)
	}
	holdClear(decisions)
}

// giveWay sends in the clear what is only preferred to be encrypted, where a text
// goes to one in the clear whom the rule does not tolerate: it is no secret, and a
// cipher text beside it is false comfort. Who gives way may be one whom another
// does not tolerate.
func giveWay(decisions []*decision) {
	for again := true; again; {
		again = false
		each(decisions, (*decision).yields, func(t *decision) {
			if find(decisions, func(o *decision) bool { return o.open() && !t.tolerates(o) }) == nil {
				return
			}
			t.secrecy, t.usable, again = clear, nil, true
			t.remark("not encrypted: another recipient gets the message in plaintext")
		})
	}
}

// tolerates reports whether what is encrypted for t may go to o in the clear.
func (t *decision) tolerates(o *decision) bool { return t.rule.tolerates(o.to) }

func (r *rule) tolerates(to *RecipientFacts) bool {
	return r.mixed == mixedAllow || r.mixed == mixedInternal && to.Internal
}

func (r *rule) toleratesAll(list []*RecipientFacts) bool {
	return !slices.ContainsFunc(list, func(to *RecipientFacts) bool { return !r.tolerates(to) })
}

// open reports a recipient whose copy is in the clear, or will be.
func (t *decision) open() bool {
	return t.secrecy == clear && (t.disposition == send || t.temporary)
}

// closed reports a recipient whose copy must be encrypted, and is or will be,
// and beside which not everything may be in the clear.
func (t *decision) closed() bool {
	return t.secrecy == secret && t.wantEncrypt == require && t.rule.mixed != mixedAllow &&
		(t.disposition == send || t.disposition == held || t.temporary)
}

// yields reports a recipient whose encryption is only preferred and may give way.
func (t *decision) yields() bool { return t.secrecy == secret && t.wantEncrypt == prefer }

// waiting reports a recipient of whom it is not known yet whether there is a
// certificate.
func (t *decision) waiting() bool {
	return t.rule != nil && t.temporary && t.secrecy == undecided
}

func (t *decision) shutOut(by *decision) {
	t.refuse(false, "", fmt.Sprintf("the message is encrypted for other recipients (rule %q) and may not go to %s in plaintext; send a separate message to %s",
		by.rule.name, t.to.Address, t.to.Address))
}

// holdEncrypted defers encrypted copies, also those that would be held, while it
// is open whether another recipient is to get the text in the clear.
func holdEncrypted(decisions []*decision) {
	each(decisions, func(t *decision) bool {
		return (t.disposition == send || t.disposition == held) && t.secrecy == secret && !t.untouched
	}, func(t *decision) {
		if u := find(decisions, func(u *decision) bool { return u.waiting() && u.wantEncrypt == prefer && !t.tolerates(u) }); u != nil {
			t.wait(u)
		}
	})
}

// holdClear defers copies in the clear while it is open whether another recipient's
// will be encrypted.
func holdClear(decisions []*decision) {
	each(decisions, func(t *decision) bool { return t.disposition == send && t.secrecy == clear }, func(t *decision) {
		if u := find(decisions, func(u *decision) bool { return u.waiting() && !u.tolerates(t) }); u != nil {
			t.wait(u)
		}
	})
}

func (t *decision) wait(u *decision) {
	t.refuse(true, MissingCertificate, "the message waits for another recipient: "+u.reason)
}

// find returns the first decision, in the order of addresses, for which ok holds:
// reasons that cite another recipient must not depend on the order given.
func find(decisions []*decision, ok func(*decision) bool) *decision {
	var first *decision
	for _, t := range decisions {
		if ok(t) && (first == nil || t.before(first)) {
			first = t
		}
	}
	return first
}

func (t *decision) before(o *decision) bool {
	return cmp.Or(cmp.Compare(t.to.Address.String(), o.to.Address.String()), cmp.Compare(t.reason, o.reason)) < 0
}

func each(decisions []*decision, ok func(*decision) bool, do func(*decision)) {
	for _, t := range decisions {
		if ok(t) {
			do(t)
		}
	}
}
