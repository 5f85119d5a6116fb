package userentry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// tree is a directory of a test.
type tree struct {
	owners  map[string][]string            // names of entries, by address
	entries map[string]map[string][][]byte // values by attribute, by name
	asked   int
	ends    int // after how many lookups the time is over
	fails   error
}

func (d *tree) EntriesOf(_ context.Context, a address.Address) ([]string, error) {
	if d.asked++; d.asked == d.ends {
		return nil, context.DeadlineExceeded
	}
	return d.owners[a.Key(address.IgnoreCase)], d.fails
}

func (d *tree) ChangeValues(_ context.Context, dn string, changes ...directory.ValueChange) (bool, error) {
	e := d.entries[dn]
	if e == nil {
		return false, nil
	}
	for _, c := range changes {
		e[c.Attribute] = slices.Concat(publish.Without(publish.Without(e[c.Attribute], c.Remove), c.Add), c.Add)
	}
	return true, nil
}

// world publishes to a tree.
type world struct {
	*testing.T
	tree   *tree
	store  *store.Store
	places *Places
	cfg    Config
	now    time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, now: time.Now(), tree: &tree{
		owners: map[string][]string{
			"alice@example.org": {"cn=alice"}, "a.smith@example.org": {"cn=alice"}, "bob@example.org": {"cn=bob"}, "two@example.org": {"cn=alice", "cn=bob"},
		},
		entries: map[string]map[string][][]byte{"cn=alice": {attrCertificate: {[]byte("manual")}}, "cn=bob": {}},
	}}
	w.store = testpki.Must(store.Open(t.Context(), store.Config{}))
	t.Cleanup(func() { w.store.Close() })
	clock := func() time.Time { return w.now }
	w.places = &Places{Directory: w.tree, Clock: clock}
	w.cfg = Config{
		Directory: w.tree, Attributes: []string{attrCertificate, attrSigned}, Clock: clock,
		Signer: func(context.Context, address.Address) (*certs.Identity, error) { return nil, nil },
	}
	return w
}

// sync publishes entries and returns how many changed.
func (w *world) sync(unsure publish.Unsure, entries ...*publish.Entry) int {
	w.Helper()
	target, err := Open(w.Context(), w.cfg, w.places, slices.Values(entries), unsure)
	if err != nil {
		w.Fatal(err)
	}
	n, err := publish.Sync(w.Context(), w.store, "corp", target, nil)
	if err != nil {
		w.Fatal(err)
	}
	return n
}

func entry(text string, list ...*x509.Certificate) *publish.Entry {
	return &publish.Entry{Address: testpki.Must(address.Parse(text)), Certificates: list}
}

// want compares the certificates that an entry has, plain and signed.
func (w *world) want(name, dn string, changed, wantChanged int, list ...*x509.Certificate) {
	w.Helper()
	if changed != wantChanged {
		w.Errorf("%s: %d changed, want %d", name, changed, wantChanged)
	}
	e := w.tree.entries[dn]
	plain := publish.Without(e[attrCertificate], [][]byte{[]byte("manual")})
	if len(plain) != len(list) || slices.ContainsFunc(list, func(c *x509.Certificate) bool { return len(publish.Without([][]byte{c.Raw}, plain)) > 0 }) {
		w.Errorf("%s: %d plain ones, want %d", name, len(plain), len(list))
	}
	if dn == "cn=alice" && len(plain) == len(e[attrCertificate]) {
		w.Errorf("%s: the value of others is gone", name)
	}
	if len(list) == 0 {
		if n := len(e[attrSigned]); n > 0 {
			w.Errorf("%s: %d signed values", name, n)
		}
		return
	}
	if len(e[attrSigned]) != 1 {
		w.Fatalf("%s: %d signed values", name, len(e[attrSigned]))
	}
	s := testpki.Must(cms.ParseSignedData(e[attrSigned][0]))
	for _, c := range list {
		if !slices.ContainsFunc(s.Certificates, c.Equal) {
			w.Errorf("%s: a certificate is missing in the signed value", name)
		}
	}
}

// TestEntriesHaveWhatTheirAddressesHave: an entry has the certificates of all its addresses, and
// those that are no longer published leave it, one by one.
func TestEntriesHaveWhatTheirAddressesHave(t *testing.T) {
	w := newWorld(t)
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	issue := func(list ...string) *x509.Certificate {
		return testpki.Must(ca.Issue(testpki.Leaf{Addresses: list})).Certificate
	}
	both, alias, bob := issue("alice@example.org", "a.smith@example.org"), issue("a.smith@example.org"), issue("bob@example.org")
	first := []*publish.Entry{entry("alice@example.org", both), entry("a.smith@example.org", both, alias), entry("bob@example.org", bob), entry("two@example.org", bob), entry("absent@example.org", bob)}
	w.want("first", "cn=alice", w.sync(nil, first...), 2, both, alias)
	w.want("first", "cn=bob", 0, 0, bob)
	w.want("the same", "cn=alice", w.sync(nil, first...), 0, both, alias)
	w.want("an address less", "cn=alice", w.sync(nil, first[0], first[2]), 1, both)
	unsure := publish.Unsure{sha256.Sum256(both.Raw): true, sha256.Sum256(alias.Raw): true}
	w.want("not known", "cn=alice", w.sync(unsure, first[2]), 0, both)
	w.want("none", "cn=alice", w.sync(nil), 2)
	w.want("none", "cn=bob", 0, 0)
	w.sync(nil, first...)
	delete(w.tree.entries, "cn=bob")
	w.want("an entry that is gone", "cn=alice", w.sync(nil, first[0]), 2, both)
	if noted := testpki.Must(w.store.Published(t.Context(), "corp")); len(noted) != 1 {
		t.Errorf("%d entries are noted", len(noted))
	}
}

// TestSignedValueStaysWhileUnsure: where the signed value alone is written, it stays as well while
// what it holds cannot be judged, with the chain.
func TestSignedValueStaysWhileUnsure(t *testing.T) {
	w := newWorld(t)
	w.cfg.Attributes = []string{attrSigned}
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	ca := testpki.Must(root.Intermediate(testpki.Options{}))
	issue := func(text string) *x509.Certificate {
		return testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{text}})).Certificate
	}
	alice, alias := issue("alice@example.org"), issue("a.smith@example.org")
	first, second := entry("alice@example.org", alice), entry("a.smith@example.org", alias)
	first.Chain, second.Chain = []*x509.Certificate{ca.Root}, []*x509.Certificate{ca.Root}
	if n := w.sync(nil, first, second); n != 1 {
		t.Fatalf("%d changed", n)
	}
	before := w.tree.entries["cn=alice"][attrSigned]
	unsure := publish.Unsure{sha256.Sum256(alice.Raw): true}
	if n := w.sync(unsure, second); n != 0 {
		t.Errorf("one of two is unsure: %d changed", n)
	}
	unsure[sha256.Sum256(alias.Raw)] = true
	if n := w.sync(unsure); n != 0 {
		t.Errorf("both are unsure: %d changed", n)
	}
	if after := w.tree.entries["cn=alice"][attrSigned]; len(after) != 1 || !slices.Equal(after[0], before[0]) {
		t.Errorf("%d values", len(after))
	}
	delete(unsure, sha256.Sum256(alice.Raw))
	if n := w.sync(unsure, second); n != 1 {
		t.Errorf("one is not published any more: %d changed", n)
	}
}

// TestSignedValue: it has the capabilities, and the certificate that is to be encrypted to, also
// of a pair; it is made again only when it has to be.
func TestSignedValue(t *testing.T) {
	w := newWorld(t)
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	ca := testpki.Must(root.Intermediate(testpki.Options{}))
	issue := func(usage x509.KeyUsage) *certs.Identity {
		return (*certs.Identity)(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048", KeyUsage: usage})))
	}
	encrypts, signs, old := issue(x509.KeyUsageKeyEncipherment), issue(x509.KeyUsageDigitalSignature), issue(x509.KeyUsageKeyEncipherment)
	signs.Chain = append([]*x509.Certificate{old.Certificate}, signs.Chain...) // as an identity that was paired with one that is not published
	e := entry("alice@example.org", encrypts.Certificate)
	e.Chain = encrypts.Chain
	var id *certs.Identity
	w.cfg.Signer = func(context.Context, address.Address) (*certs.Identity, error) { return id, nil }
	value := func() []byte {
		w.sync(nil, e)
		return w.tree.entries["cn=alice"][attrSigned][0]
	}
	bare := testpki.Must(cms.ParseSignedData(value()))
	if bare.Signers() != 0 || len(bare.Certificates) != 2 {
		t.Errorf("without a key: %d signers, %d certificates", bare.Signers(), len(bare.Certificates))
	}
	id = signs
	first := value()
	s := testpki.Must(cms.ParseSignedData(first))
	results := s.Verify(cms.VerifyOptions{Content: [][]byte{{}}})
	if len(results) != 1 || results[0].Err != nil || !results[0].Certificate.Equal(signs.Certificate) || len(results[0].Capabilities.Ciphers()) == 0 ||
		results[0].EncryptionID == nil || !results[0].EncryptionID.Matches(encrypts.Certificate) {
		t.Errorf("%+v", results)
	}
	if slices.ContainsFunc(s.Certificates, old.Certificate.Equal) || slices.ContainsFunc(s.Certificates, root.Certificate.Equal) || !slices.ContainsFunc(s.Certificates, ca.Certificate.Equal) {
		t.Errorf("%d certificates", len(s.Certificates))
	}
	w.now = w.now.Add(time.Minute)
	if !bytes.Equal(value(), first) {
		t.Error("it was signed again")
	}
	id = issue(x509.KeyUsageDigitalSignature)
	if bytes.Equal(value(), first) {
		t.Error("another identity did not sign")
	}
}

// TestNothingIsRemovedWhileEntriesAreUnknown: a directory that is away is not one without
// entries.
func TestNothingIsRemovedWhileEntriesAreUnknown(t *testing.T) {
	w := newWorld(t)
	bob := entry("bob@example.org", testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"bob@example.org"}})).Certificate)
	w.want("first", "cn=bob", w.sync(nil, bob), 1, bob.Certificates...)
	w.sync(nil, bob)
	if w.tree.asked != 1 {
		t.Errorf("asked %d times where the entry is", w.tree.asked)
	}
	w.now, w.tree.fails = w.now.Add(placeTime), errors.New("x")
	if target, err := Open(t.Context(), w.cfg, w.places, slices.Values([]*publish.Entry{bob}), nil); target != nil || !errors.Is(err, w.tree.fails) {
		t.Errorf("%v, %v", target, err)
	}
	// Another entry has the address from now on.
	w.tree.fails, w.tree.owners["bob@example.org"], w.tree.entries["cn=robert"] = nil, []string{"cn=robert"}, map[string][][]byte{}
	w.want("moved", "cn=robert", w.sync(nil, bob), 2, bob.Certificates...)
	w.want("moved", "cn=bob", 0, 0)
}

// TestAttributes: only the attributes of the configuration are written.
func TestAttributes(t *testing.T) {
	w := newWorld(t)
	bob := entry("bob@example.org", testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"bob@example.org"}})).Certificate)
	for attribute, want := range map[string][2]int{"USERCERTIFICATE": {1, 0}, attrSigned: {0, 1}} {
		w.cfg.Attributes = []string{attribute}
		w.sync(nil, bob)
		e := w.tree.entries["cn=bob"]
		if len(e[attrCertificate]) != want[0] || len(e[attrSigned]) != want[1] {
			t.Errorf("%s: %d, %d", attribute, len(e[attrCertificate]), len(e[attrSigned]))
		}
	}
}

// TestEntriesAreFoundInTurn: where there is no time to look all entries up at once, the next
// attempt goes on.
func TestEntriesAreFoundInTurn(t *testing.T) {
	w := newWorld(t)
	ended, end := context.WithCancel(t.Context())
	end()
	list := []*publish.Entry{entry("alice@example.org"), entry("bob@example.org"), entry("absent@example.org")}
	for i, want := range []error{context.DeadlineExceeded, ErrUnfinished, ErrUnfinished, nil} {
		w.tree.asked, w.tree.ends = 0, min(i+1, 2)
		if _, err := Open(ended, w.cfg, w.places, slices.Values(list), nil); !errors.Is(err, want) {
			t.Errorf("attempt %d: %v, want %v", i, err, want)
		}
	}
}
