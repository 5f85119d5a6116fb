package readers

import (
	"context"
	"crypto"
	"crypto/x509"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/otherreader"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// number returns what an environment variable says, or a value of its own.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// world signs and judges.
type world struct {
	parts   []signedPart
	options smime.OpenOptions
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"bob@example.org"}, Key: "p256"}))
	key := id.Key.(crypto.Signer)
	w := &world{options: smime.OpenOptions{Checker: trusting{}, Certificates: new(cms.CertificateCache)}}
	for _, entity := range entities {
		object, err := cms.Sign(cms.SignRequest{
			Content: [][]byte{[]byte(entity)}, Detached: true,
			Signers: []cms.Signer{{Certificate: id.Certificate, Key: key, Digest: crypto.SHA256, Time: time.Now()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.parts = append(w.parts, signedPart{entity, string(testpki.Base64(object.Bytes()))})
	}
	return w
}

// trusting is a checker that finds nothing wrong with a certificate.
type trusting struct{ certs.Checker }

func (trusting) Check(context.Context, *x509.Certificate, certs.Request) certs.Verdict {
	return certs.Verdict{Result: certs.Pass}
}

func (w *world) passes(raw []byte) bool {
	m, err := message.Parse(raw)
	return err == nil && smime.Open(context.Background(), m, w.options).Report.Result == certs.Pass
}

// sample is a message that passes, with the index of its signed part.
type sample struct {
	number, part int
	raw          []byte
}

// samples generates count structures and returns those that pass.
func (w *world) samples(seed, count uint64) []sample {
	var passing []sample
	for i := range count {
		g := newGenerator(seed, i)
		part := g.IntN(len(w.parts))
		if raw := g.message(w.parts[part]); w.passes(raw) {
			passing = append(passing, sample{int(i), part, raw})
		}
	}
	return passing
}

// TestReaders generates READERS structures around signed parts, 4,000 unless that
// says otherwise and 200,000 in `make test`, from the seed READERS_SEED. About a
// quarter passes, which is what the readers get.
func TestReaders(t *testing.T) {
	w := newWorld(t)
	count := number(t, "READERS", 4000)
	passing := w.samples(number(t, "READERS_SEED", 1), count)
	t.Logf("%d of %d structures pass", len(passing), count)
	if uint64(len(passing)) < count/20 {
		t.Fatalf("only %d of %d structures pass: the test says little", len(passing), count)
	}
	for name, command := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, start(t, command), w, passing)
		})
	}
}

// compare holds what a reader shows of each message that passes against what it
// shows of the signed entity alone.
func compare(t *testing.T, r *otherreader.Reader, w *world, passing []sample) {
	var alone [][]byte
	for _, p := range w.parts {
		alone = append(alone, append([]byte("From: bob@example.org\r\nMIME-Version: 1.0\r\n"), p.entity...))
	}
	var want [][]string
	for _, leaves := range read(t, r, alone) {
		want = append(want, lines(leaves))
	}
	var raw [][]byte
	for _, s := range passing {
		raw = append(raw, s.raw)
	}
	failures := 0
	for i, leaves := range read(t, r, raw) {
		if got := lines(leaves); !slices.Equal(got, want[passing[i].part]) {
			if failures++; failures <= 5 {
				t.Errorf("shows %q, and the signature covers %q, in %s", got, want[passing[i].part], describe(passing[i].number, passing[i].raw))
			}
		}
	}
	if failures > 0 {
		t.Errorf("differs in %d of %d", failures, len(passing))
	}
}
