package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// oneKey is asked for every recipient info: the processes of a fuzzer make
// certificates of their own, and must read what another one encrypted.
type oneKey struct {
	certs.Keys
	identity *certs.Identity
}

func (k oneKey) Signing(context.Context, address.Address) (*certs.Identity, error) {
	return k.identity, nil
}

func (k oneKey) Decryption(context.Context, cms.ID) ([]*certs.Identity, error) {
	return []*certs.Identity{k.identity}, nil
}

// The forms that the fuzzer has messages delivered in, by recipient; the last two get
// none with a bad signature.
var fuzzRecipients = []string{"alice@own.example", "readable@own.example", "stripped@own.example", "asis@own.example", "kept@own.example", "strict@own.example"}

func fuzzInboundRules() []enforce.InboundRule {
	return []enforce.InboundRule{
		{Name: "readable", Recipient: fuzzRecipients[1:2], Deliver: "readable"},
		{Name: "stripped", Recipient: fuzzRecipients[2:3], Deliver: "readable", StripSignature: "always", Original: "attach"},
		{Name: "as it is", Recipient: fuzzRecipients[3:4], Deliver: "as-is"},
		{Name: "kept", Recipient: fuzzRecipients[4:5], ExceptResult: []string{"pass"}, OnResult: "quarantine", Notify: []string{enforce.NotifyRecipient}},
		{Name: "strict", Recipient: fuzzRecipients[5:6], ExceptResult: []string{"pass"}, OnResult: "reject"},
	}
}

// fuzzedInbound is a gateway for inbound mail whose key is the same in every process.
func fuzzedInbound(f *testing.F) *world {
	f.Helper()
	w := newWorldFor(f)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	identity := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: fuzzRecipients, PrivateKey: key})))
	w.config.Keys = oneKey{w.keys, identity}
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound(fuzzInboundRules()))
	w.config.Inbound.Tags, w.config.Inbound.Banner = TagsIn("de"), "de"
	w.config.Texts = testpki.Must(dsn.ReadTexts("de", nil)) // read once
	w.config.Log = nil
	w.start()
	return w
}

// fuzzSeeds are messages of all forms, and those of the corpora that are small.
func fuzzSeeds(f *testing.F, w *world) {
	f.Helper()
	own, err := w.config.Keys.Signing(f.Context(), w.addr(alice))
	if err != nil {
		f.Fatal(err)
	}
	encrypted := func(m *message.Message) *message.Message {
		return testpki.Must(smime.Encrypt(m, []*x509.Certificate{own.Certificate}, smime.EncryptOptions{}))
	}
	for _, m := range []*message.Message{w.bobsLetter(""), w.opaqueLetter(), encrypted(w.bobsLetter("")), encrypted(w.opaqueLetter()), w.changed()} {
		f.Add(m.Bytes())
	}
	folder, ok := corpora.Find(f)
	if !ok {
		return
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".eml") {
			return err
		}
		if data, err := os.ReadFile(path); err == nil && len(data) <= 32<<10 {
			f.Add(bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")))
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
}

// allocated is how many octets were allocated so far. runtime.ReadMemStats stops all
// goroutines, which took a fifth of the time.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// maxFuzzMemory is how much a message may take besides its own copies.
const maxFuzzMemory = 64 << 20

// maxFuzzTime is how much of the processor a message may take.
const maxFuzzTime = time.Second

// FuzzInbound passes hostile messages through the inbound rules, for recipients of all
// forms. Each recipient is in one place, each copy has one status and can be read again,
// what is delivered as it came is what came, and no message makes the gateway allocate
// or compute more than it may.
func FuzzInbound(f *testing.F) {
	w := fuzzedInbound(f)
	fuzzSeeds(f, w)
	arrives := w.envelope("in", "x@y.example", fuzzRecipients...)
	f.Fuzz(func(t *testing.T, raw []byte) {
		msg, err := message.Parse(raw)
		if err != nil {
			return
		}
		before, began := allocated(), processorTime()
		memory := relay.NewMemory(16 << 20)
		ctx := relay.WithMemory(t.Context(), memory.Share())
		env := *arrives
		o, err := w.gateway.outcome(ctx, &env, msg)
		if took := processorTime() - began; took > maxFuzzTime {
			t.Errorf("%v of the processor for a message of %d octets", took, len(raw))
		}
		if grown := allocated() - before; grown > maxFuzzMemory+64*uint64(len(raw)) {
			t.Errorf("%d octets were allocated for a message of %d", grown, len(raw))
		}
		if err != nil {
			kind := fault.Of(err).Kind
			if kind == fault.Internal || kind == fault.Malformed && message.LineEnds(raw) == message.CRLF && bytes.IndexByte(raw, 0) < 0 && !strings.Contains(err.Error(), "not well-formed") {
				t.Fatalf("%v", err)
			}
			return
		}
		places := w.placesOf(o)
		for _, r := range env.Recipients {
			if n := places[r.Address.String()]; n != 1 {
				t.Errorf("%s is in %d places", r.Address, n)
			}
		}
		for _, d := range o.Deliveries {
			if len(d.Message.All(statusField)) != 1 {
				t.Errorf("%v: another status than one:\n%s", d.Recipients, d.Message.Bytes())
			}
			if _, err := message.Parse(d.Message.Bytes()); err != nil {
				t.Errorf("%v: %v", d.Recipients, err)
			}
		}
	})
}
