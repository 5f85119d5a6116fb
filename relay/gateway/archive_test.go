package gateway

import (
	"bytes"
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// shelf is an archive in memory.
type shelf struct {
	kept   [][]byte
	broken bool
}

var errShelf = errors.New("no space on /secret/place")

func (s *shelf) keep(m *message.Message) (string, error) {
	if s.broken {
		return "", errShelf
	}
	s.kept = append(s.kept, bytes.Clone(m.Bytes()))
	return "file.eml", nil
}

func archiveWorld(t *testing.T, rules ...enforce.InboundRule) (*world, *shelf) {
	t.Helper()
	w, s := newWorld(t), &shelf{}
	w.config.Archive = s.keep
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound(rules))
	w.start()
	return w, s
}

var archiveAll = enforce.InboundRule{Name: "all", Deliver: "readable", Original: "archive"}

// What is delivered in another form is archived first, as it came and once; what stays as
// it is, is not.
func TestOriginalArchived(t *testing.T) {
	w, s := archiveWorld(t, archiveAll)
	opaque := w.opaqueLetter()
	o := w.arrives(opaque, alice, "help@own.example")
	if len(o.Deliveries) != 1 || o.Deliveries[0].Message.Root().MediaType != "text/plain" || len(s.kept) != 1 || !bytes.Equal(s.kept[0], opaque.Bytes()) {
		t.Errorf("%s, %d are archived", w.outline(o), len(s.kept))
	}
	w.arrives(w.bobsLetter(""), alice)
	w.arrives(parseMessage(t, "From: x@y.example\nSubject: s\n\nhello\n"), alice)
	if len(s.kept) != 1 {
		t.Errorf("%d are archived", len(s.kept))
	}
	if !bytes.Contains(w.log.Bytes(), []byte("original archived: file.eml")) {
		t.Errorf("the log does not say where:\n%s", w.log)
	}
}

// What cannot be archived waits, and the client does not hear why. Of mail that was
// encrypted that is so whatever decryption found.
func TestArchiveFails(t *testing.T) {
	w, s := archiveWorld(t, enforce.InboundRule{Name: "good", Result: []string{"pass"}, Deliver: "readable", Original: "archive"},
		enforce.InboundRule{Name: "other", Signed: "yes", OnResult: "quarantine"})
	s.broken = true
	for name, m := range map[string]*message.Message{
		"opaque": w.opaqueLetter(), "encrypted": w.toAlice(w.opaqueLetter()), "encrypted, bad": w.toAlice(w.changed()),
		"encrypted, not signed": w.toAlice(parseMessage(t, "From: x@y.example\nSubject: s\n\nhello\n")),
	} {
		o, err := w.process(w.envelope("in", bob, alice), m)
		if err == nil || relay.ReplyFor(err).Code != 452 || bytes.Contains([]byte(relay.ReplyFor(err).Text), []byte("secret")) {
			t.Errorf("%s: %v, %v", name, o, err)
		}
	}
	if o := w.arrives(w.changed(), alice); o.Quarantined == nil {
		t.Error("what is not archived: " + w.outline(o))
	}
	s.broken = false
	for range 2 {
		w.arrives(w.toAlice(w.changed()), alice)
	}
	if len(s.kept) != 2 {
		t.Errorf("%d are archived, whatever decryption found", len(s.kept))
	}
}

// An archive that is a mailbox gets a message of its own, before the others, and once.
func TestArchiveIsAnAddress(t *testing.T) {
	w := newWorld(t)
	w.config.ArchiveTo = w.addr("archive@own.example")
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{archiveAll}))
	w.start()
	forged := mustMessage(t, append([]byte("X-SMIME-Status: pass\r\nAuthentication-Results: gw.own.example; smime=pass\r\n"), w.opaqueLetter().Bytes()...))
	for name, m := range map[string]*message.Message{"opaque": w.opaqueLetter(), "encrypted": w.toAlice(w.opaqueLetter()), "forged": forged} {
		o := w.arrives(m, alice, "help@own.example")
		if len(o.Kept) != 1 || !bytes.Equal(o.Kept[0].Message.Body(), m.Bytes()) || o.Kept[0].Message.Has(statusField) || o.Kept[0].Message.Has(resultsField) || o.Kept[0].Recipients[0].Address != w.config.ArchiveTo || o.Kept[0].Sender != w.config.Postmaster {
			t.Errorf("%s: %+v", name, o.Kept)
		}
	}
	if o := w.arrives(w.opaqueLetter(), "archive@own.example", alice); len(o.Kept) != 1 {
		t.Errorf("of mail to the archive itself %d are archived", len(o.Kept))
	}
	w.config.ArchiveTo = w.addr("archive@stranger.example")
	if _, err := New(w.config); err == nil {
		t.Error("an archive of strangers")
	}
	w.config.ArchiveTo = w.addr("")
	if _, err := New(w.config); err == nil {
		t.Error("no archive")
	}
}

// What is released from quarantine is archived then.
func TestReleasedIsArchived(t *testing.T) {
	w, s := archiveWorld(t, enforce.InboundRule{Name: "all", OnResult: "quarantine", Deliver: "readable", Original: "archive"})
	o := w.arrives(w.opaqueLetter(), alice)
	if len(s.kept) != 0 {
		t.Error("archived when it came")
	}
	if b, err := w.gateway.Reconsider(t.Context(), *o.Quarantined, relay.Order{Verb: relay.Release}); err != nil || len(b.Copies) != 1 || len(s.kept) != 1 {
		t.Errorf("%+v, %v; %d are archived", b, err, len(s.kept))
	}
}
