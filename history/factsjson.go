package history

import "github.com/smimerelay/smimerelay/enforce"

// write writes the facts as JSON.
func (s *storedFacts) write(j *jsonText) {
	j.begin('{')
	j.key("v")
	j.number(int64(s.Version))
	listField(j, "from", s.From, (*jsonText).address)
	j.numberField("identity", int64(s.Identity))
	j.textField("identity_reason", s.IdentityReason)
	j.textField("identity_note", s.IdentityNote)
	j.flagField("issuable", s.Issuable)
	j.textField("sign_forbidden", s.SignForbidden)
	j.textField("sign_exempt", s.SignExempt)
	j.textField("sign_unknown", s.SignUnknown)
	j.contentField("content", &s.Content)
	j.triggersField("triggers", s.Triggers)
	mapField(j, "identities", s.Identities, (*jsonText).identity)
	mapField(j, "further", s.Further, (*jsonText).lookup)
	mapField(j, "sender_groups", s.SenderGroups, (*jsonText).member)
	j.numberField("others", int64(s.Others))
	j.foundField("found", s.Found)
	j.flagField("internal", s.Internal)
	j.flagField("hidden", s.Hidden)
	j.flagField("unnamed", s.Unnamed)
	j.lookupField("certificate", s.Certificate)
	j.lookupField("domain", s.Domain)
	j.textField("domain_of", s.DomainOf)
	j.numberField("reads", int64(s.Reads))
	mapField(j, "groups", s.Groups, (*jsonText).member)
	j.groupField("group", s.Group)
	listField(j, "through", s.Through, (*jsonText).address)
	j.end('}')
}

func (j *jsonText) contentField(name string, c *storedContent) {
	if c.Size == 0 && !c.Calendar && c.CalendarWhy == "" && !c.Signed && !c.Encrypted && c.Doubt == "" && c.TooWeak == nil && !c.Exempt && !c.Report {
		return
	}
	j.key(name)
	j.begin('{')
	j.numberField("size", int64(c.Size))
	j.flagField("calendar", c.Calendar)
	j.textField("calendar_why", c.CalendarWhy)
	j.flagField("signed", c.Signed)
	j.flagField("encrypted", c.Encrypted)
	j.textField("doubt", c.Doubt)
	mapField(j, "too_weak", c.TooWeak, (*jsonText).flag)
	j.flagField("exempt", c.Exempt)
	j.flagField("report", c.Report)
	j.end('}')
}

// triggersField and groupField write what has all of its members, by the names of package enforce.
func (j *jsonText) triggersField(name string, t enforce.Triggers) {
	if t == (enforce.Triggers{}) {
		return
	}
	j.key(name)
	j.begin('{')
	j.key("Sign")
	j.flag(t.Sign)
	j.key("Encrypt")
	j.flag(t.Encrypt)
	j.key("Plain")
	j.flag(t.Plain)
	j.key("Guessed")
	j.flag(t.Guessed)
	j.end('}')
}

func (j *jsonText) groupField(name string, g enforce.GroupFacts) {
	if g == (enforce.GroupFacts{}) {
		return
	}
	j.key(name)
	j.begin('{')
	j.key("State")
	j.number(int64(g.State))
	j.key("Asked")
	j.flag(g.Asked)
	j.key("Reason")
	j.text(g.Reason)
	j.end('}')
}

func (j *jsonText) identity(id storedIdentity) {
	j.begin('{')
	j.numberField("state", int64(id.State))
	j.textField("reason", id.Reason)
	j.textField("note", id.Note)
	j.end('}')
}

func (j *jsonText) lookupField(name string, l storedLookup) {
	if l.State != 0 || l.Usable != nil || l.Reason != "" {
		j.key(name)
		j.lookup(l)
	}
}

func (j *jsonText) lookup(l storedLookup) {
	j.begin('{')
	j.numberField("state", int64(l.State))
	listField(j, "usable", l.Usable, (*jsonText).text)
	j.textField("reason", l.Reason)
	j.end('}')
}

func (j *jsonText) member(m storedMember) {
	j.begin('{')
	j.numberField("state", int64(m.State))
	j.textField("reason", m.Reason)
	j.end('}')
}

func (j *jsonText) foundField(name string, f *storedFound) {
	if f == nil {
		return
	}
	j.key(name)
	j.begin('{')
	j.textField("result", f.Result)
	j.textField("reason", f.Reason)
	j.flagField("signed", f.Signed)
	j.flagField("encrypted", f.Encrypted)
	j.textField("chain", f.Chain)
	listField(j, "signers", f.Signers, (*jsonText).signer)
	listField(j, "algorithms", f.Algorithms, (*jsonText).text)
	j.flagField("secret", f.Secret)
	j.textField("cipher", f.Cipher)
	j.end('}')
}

func (j *jsonText) signer(s storedSigner) {
	j.begin('{')
	listField(j, "addresses", s.Addresses, (*jsonText).address)
	j.key("certificate")
	j.text(s.Certificate)
	j.end('}')
}
