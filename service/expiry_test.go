package service

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// expiryConfig notifies owner and administrator by mail. Without a queue the mail
// goes to the next hop at once.
var expiryConfig = strings.Replace(storedConfig, `protocol = "smtp"`, `protocol = "lmtp"`, 1) + `
[log]
level = "debug"
[expiry]
warn_before = ["30d", "7d", "1d"]
mail_owner = true
mail_to = ["admin@example.org"]
`

// The subjects of the mail, and what the log says.
const (
	toOwner  = "Your e-mail certificate expires soon"
	toAdmin  = "S/MIME certificates expiring soon"
	looked   = `msg="expiry check done"`
	endsSoon = `msg="identity expires soon and has not been replaced"`
)

const day = 24 * time.Hour

// hold puts an identity of an address into the store that ends at a time.
func (w *world) hold(s *store.Store, addr string, end time.Time) {
	w.t.Helper()
	id := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048", NotAfter: end})))
	if _, err := s.PutIdentity(w.t.Context(), store.Imported, id); err != nil {
		w.t.Fatal(err)
	}
}

// look has the service look through its identities again: a certificate more is a
// change. Two looks have begun and ended since, so that one saw everything.
func (w *world) look(s *store.Store) {
	w.t.Helper()
	for range 2 {
		n := w.log.count(looked)
		put(w.t, s, testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"other@example.net"}})))
		w.log.waitCount(w.t, looked, n+1)
	}
}

// notified wants owner and administrator to have got so many mails each, and so many
// lines in the log.
func (w *world) notified(when string, mails, lines int) {
	w.t.Helper()
	w.hop.mu.Lock()
	defer w.hop.mu.Unlock()
	if owner, admin := w.hop.got[toOwner], w.hop.got[toAdmin]; owner != mails || admin != mails {
		w.t.Errorf("%s: the owner got %d notices, the administrator %d, want %d", when, owner, admin, mails)
	}
	if n := w.log.count(endsSoon); n != lines {
		w.t.Errorf("%s: %d lines in the log, want %d", when, n, lines)
	}
}

// TestExpiryNoticeIsSentOnce: at each threshold one line, one mail to the owner, one to
// the administrator, whatever restarts between; and none when there is a
// successor.
func TestExpiryNoticeIsSentOnce(t *testing.T) {
	w := startWorld(t, expiryConfig)
	s := w.open(w.storeFile())
	w.hold(s, "bob@example.org", time.Now().Add(100*day))
	w.look(s)
	w.notified("far away", 0, 0)
	w.hold(s, "alice@example.org", time.Now().Add(20*day))
	w.look(s)
	w.notified("within 30 days", 1, 1)
	w.stop()
	w.run()
	w.log.waitCount(t, "msg=serving", 2)
	w.look(s)
	w.notified("started again", 1, 1)
	w.advance(14 * day)
	w.look(s)
	w.notified("within 7 days", 2, 2)
	w.hold(s, "alice@example.org", time.Now().Add(400*day))
	w.advance(5*day + 12*time.Hour)
	w.look(s)
	w.notified("renewed", 2, 2)
	line := w.log.last(endsSoon)
	for _, want := range []string{"addresses=[alice@example.org]", "days=5 ", "place=store"} {
		if !strings.Contains(line, want) {
			t.Errorf("the log lacks %s: %s", want, line)
		}
	}
	w.stop()
}

// TestExpiryNoticeIsSentLater: what could not be handed on does not count as reported.
func TestExpiryNoticeIsSentLater(t *testing.T) {
	down := strings.Replace(expiryConfig, "%HOP%", "127.0.0.1:1", 1)
	w := startWorld(t, down)
	s := w.open(w.storeFile())
	w.hold(s, "alice@example.org", time.Now().Add(20*day))
	w.log.wait(t, "some expiry notices could not be sent")
	w.look(s)
	w.notified("the next hop is away", 0, 1)
	w.reload(expiryConfig, "msg=reloaded")
	w.look(s)
	w.notified("it is back", 1, 1)
	w.stop()
}

// TestExpiryOfAnUnknownOwner: an owner whom the next hop does not know does not
// delay the notices to others, and is not tried for ever.
func TestExpiryOfAnUnknownOwner(t *testing.T) {
	w := startWorld(t, expiryConfig)
	w.hop.mu.Lock()
	w.hop.refuses = "gone@example.org"
	w.hop.mu.Unlock()
	s := w.open(w.storeFile())
	w.hold(s, "gone@example.org", time.Now().Add(10*day))
	w.look(s)
	w.hold(s, "alice@example.org", time.Now().Add(20*day))
	w.look(s)
	w.hop.mu.Lock()
	defer w.hop.mu.Unlock()
	if w.hop.got[toOwner] != 1 || w.hop.got[toAdmin] != 2 || w.hop.refused != 1 {
		t.Errorf("arrived %v, refused %d", w.hop.got, w.hop.refused)
	}
}

// TestExpiryNoticeIsSentByOneNode: of two nodes on one store one sends it.
func TestExpiryNoticeIsSentByOneNode(t *testing.T) {
	first := startWorld(t, expiryConfig)
	second := startWorld(t, strings.ReplaceAll(expiryConfig, "%DIR%/store.", first.dir+"/store."))
	s := first.open(first.storeFile())
	const people = 8
	for i := range people {
		first.hold(s, fmt.Sprintf("p%d@example.org", i), time.Now().Add(20*day))
	}
	first.look(s)
	second.look(s)
	owners, lines := 0, 0
	for _, w := range []*world{first, second} {
		w.hop.mu.Lock()
		owners += w.hop.got[toOwner]
		w.hop.mu.Unlock()
		lines += w.log.count(endsSoon)
	}
	if owners != people || lines != people {
		t.Errorf("%d owners were notified and %d lines written, want %d", owners, lines, people)
	}
	first.stop()
	second.stop()
}

// TestExpiryGoesThroughTheQueue where there is one.
func TestExpiryGoesThroughTheQueue(t *testing.T) {
	w := startWorld(t, strings.Replace(expiryConfig, `protocol = "lmtp"`, `protocol = "smtp"`, 1))
	w.hold(w.open(filepath.Join(w.dir, "store.db")), "alice@example.org", time.Now().Add(20*day))
	if got := w.hop.wait(t, 2); got[toOwner] != 1 || got[toAdmin] != 1 {
		t.Errorf("arrived: %v", got)
	}
	w.log.wait(t, "msg=attempt")
	w.stop()
}
