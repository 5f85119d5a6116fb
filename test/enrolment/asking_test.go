package enrolment

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/rig"
)

// asking is a house that asks the other one for certificates.
type asking struct {
	*house
	user, other string // the user here, and the one of the other house
	id          *testpki.Identity
}

func openAsking(t *testing.T, ca *testpki.CA, domain, user, otherDomain, other string) *asking {
	t.Helper()
	issue := func(addr string) *testpki.Identity {
		return testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"}))
	}
	from := "certificates@" + domain
	a := &asking{user: user + "@" + domain, other: other + "@" + otherDomain, id: issue(user + "@" + domain)}
	a.house = openIn(t, domain, testpki.EncodeCertificates(ca.Certificate), fmt.Sprintf(`
[ask]
from = %q

[[rule]]
name = "ask"
recipient = [%q]
sign = "require"
encrypt = "require"
no_certificate = "ask"
`, from, otherDomain))
	a.Run(t, "cert", "import", a.write(t, "user.pem", testpki.Must(a.id.PEM())))
	a.Run(t, "cert", "import", a.write(t, "from.pem", testpki.Must(issue(from).PEM())))
	a.restart(t) // the key file is there now
	return a
}

// writes has the user write to the other one, with further fields; it is held.
func (a *asking) writes(t *testing.T, fields string) {
	t.Helper()
	raw, _ := a.text(a.user, a.other, fields+"\r\nhello\r\n")
	before := strings.Count(a.Log(), "outcome=held")
	if reply := a.transact(t, rig.Insider, a.user, a.other, raw); !reply.Positive() {
		t.Fatalf("%s writes: %v", a.user, reply)
	}
	a.WaitLog(t, "outcome=held", before+1)
}

// questions are those that left for the other user.
func (a *asking) questions() (list []rig.Delivery) {
	for _, d := range a.sink.All() {
		if slices.Contains(d.To, a.other) && bytes.Contains(d.Data, []byte("Auto-Submitted: auto-generated")) {
			list = append(list, d)
		}
	}
	return list
}

// question waits for the one question to the other user.
func (a *asking) question(t *testing.T) rig.Delivery {
	t.Helper()
	return a.sink.Wait(t, "a question to "+a.other, func(d rig.Delivery) bool {
		return slices.Contains(d.To, a.other) && bytes.Contains(d.Data, []byte("Auto-Submitted: auto-generated"))
	})
}

// gets has a message of the other house come in, and waits until the user has it.
func (a *asking) gets(t *testing.T, d rig.Delivery) {
	t.Helper()
	before := a.sink.Count(a.user)
	if reply := a.transact(t, rig.Stranger, d.From, a.user, d.Data); !reply.Positive() {
		t.Fatalf("%s gets: %v", a.user, reply)
	}
	a.sink.WaitCount(t, "a message to "+a.user, a.user, before+1)
}

// TestTwoHousesAsk: where both sides hold what they cannot encrypt, each asks once, and no automatic mail is
// asked about; as soon as one side has the certificate of the other, all that waits leaves.
func TestTwoHousesAsk(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	a := openAsking(t, ca, "corp.example", "alice", "partner.example", "bob")
	b := openAsking(t, ca, "partner.example", "bob", "corp.example", "alice")

	a.writes(t, "")
	b.gets(t, a.question(t))
	b.writes(t, "Auto-Submitted: auto-replied\r\n")
	if n := len(b.questions()); n != 0 {
		t.Errorf("%d questions because of an automatic reply", n)
	}
	answer := "In-Reply-To: " + messageID(a.question(t).Data) + "\r\n"
	b.writes(t, answer)
	a.gets(t, b.question(t))
	a.writes(t, "In-Reply-To: "+messageID(b.question(t).Data)+"\r\n")
	a.writes(t, "")
	b.writes(t, answer)
	if len(a.questions()) != 1 || len(b.questions()) != 1 {
		t.Errorf("asked %d and %d times", len(a.questions()), len(b.questions()))
	}

	// The administrator of one side imports a certificate that came by another way.
	b.Run(t, "cert", "import", b.write(t, "alice.pem", testpki.EncodeCertificates(a.id.Certificate)))
	b.Run(t, "queue", "release", "--all")
	b.sink.WaitCount(t, "what waited for the certificate of alice", a.user, 1+3) // with the question
	for _, d := range b.sink.All() {
		if slices.Contains(d.To, a.user) && d.From == b.user {
			a.gets(t, d)
		}
	}
	a.sink.WaitCount(t, "what waited for the certificate of bob", a.other, 1+3)
	for _, h := range []*asking{a, b} {
		if list := h.Run(t, "queue", "held"); list != "0 held\n" {
			t.Errorf("held is\n%s", list)
		}
		for _, d := range h.sink.All() {
			if slices.Contains(d.To, h.other) && d.From == h.user && !bytes.Contains(d.Data, []byte("application/pkcs7-mime")) {
				t.Errorf("it left in the clear:\n%s", d.Data)
			}
		}
	}
}

// messageID is that of a message.
func messageID(raw []byte) string {
	_, rest, _ := strings.Cut(string(raw), "Message-ID: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}
