package test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

var update = flag.Bool("update", false, "write docs/interop.md again")

// interopRow is one set of algorithms.
type interopRow struct {
	name string
	key  string // kind of key, as in testpki.Options
	alg  peer.Algorithms
}

func signatureRows() []interopRow {
	var rows []interopRow
	for _, digest := range []string{"sha-256", "sha-384", "sha-512"} {
		for _, padding := range []string{"pkcs1", "pss"} {
			rows = append(rows, interopRow{"RSA " + padding + ", " + digest, "rsa2048",
				peer.Algorithms{Digest: digest, Signature: padding}})
		}
	}
	return append(rows,
		interopRow{"ECDSA P-256, sha-256", "p256", peer.Algorithms{Digest: "sha-256"}},
		interopRow{"ECDSA P-384, sha-384", "p384", peer.Algorithms{Digest: "sha-384"}},
		interopRow{"ECDSA P-521, sha-512", "p521", peer.Algorithms{Digest: "sha-512"}},
		interopRow{"Ed25519", "ed25519", peer.Algorithms{Digest: "sha-512"}},
	)
}

func encryptionRows() []interopRow {
	var rows []interopRow
	for _, cipher := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"} {
		for _, key := range []struct{ name, kind, transport string }{
			{"RSA pkcs1", "rsa2048", "pkcs1"}, {"RSA oaep", "rsa2048", "oaep"},
			{"ECDH P-256", "p256", ""}, {"ECDH P-384", "p384", ""}, {"ECDH P-521", "p521", ""}, {"X25519", "x25519", ""},
		} {
			rows = append(rows, interopRow{key.name + ", " + cipher, key.kind,
				peer.Algorithms{Cipher: cipher, KeyTransport: key.transport}})
		}
	}
	return rows
}

// inability is what a peer can not do, found by trying. A cell that works
// although it is listed here fails the test, as does one that is not and fails.
type inability struct {
	peer, role string // role: "reads", "writes", or "" for both
	rows       string // a part of the row's name, "" for all; "|" separates several
	why        string
}

// interop is the state of the matrix while it is filled.
type interop struct {
	ours  *peer.Smimerelay
	peers []peer.Peer
	ids   map[string]*testpki.Identity

	mu    sync.Mutex
	cells map[cell]string // "" where it works, else why not
}

// cell is one attempt of the matrix.
type cell struct{ peer, role, row string }

// table is one half of the matrix.
type table struct {
	title       string
	rows        []interopRow
	read, write attempt
}

type attempt func(p peer.Peer, row interopRow) error

// TestInterop lets us read what each peer writes, and each peer what we write,
// and keeps docs/interop.md true.
func TestInterop(t *testing.T) {
	m := newInterop(t)
	tables := []table{
		{"Signatures", signatureRows(), m.signed, m.signedByPeer},
		{"Encryption", encryptionRows(), m.encrypted, m.encryptedByPeer},
	}
	t.Run("peers", func(t *testing.T) {
		for _, p := range m.peers {
			t.Run(p.Name(), func(t *testing.T) {
				t.Parallel()
				for _, table := range tables {
					for _, row := range table.rows {
						m.fill(t, cell{p.Name(), "reads", row.name}, func() error { return table.read(p, row) })
						m.fill(t, cell{p.Name(), "writes", row.name}, func() error { return table.write(p, row) })
					}
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	page := m.page(tables)
	file := filepath.Join(rig.Root(t), "docs", "interop.md")
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if old, _ := os.ReadFile(file); string(old) != page {
		t.Errorf("docs/interop.md does not say what was found; go test ./test -run TestInterop -update writes\n%s", page)
	}
}

// fill tries, and compares with what is known of the peer.
func (m *interop) fill(t *testing.T, c cell, try func() error) {
	t.Run(c.role+" "+c.row, func(t *testing.T) {
		err, why := try(), known(c)
		switch {
		case err == nil && why != "":
			t.Errorf("works, although %q is on the list", why)
		case err != nil && why == "", errors.Is(err, errOurs):
			t.Error(err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cells[c] = why
	})
}

func known(c cell) string {
	for _, in := range inabilities {
		if in.peer != c.peer || in.role != "" && in.role != c.role {
			continue
		}
		if slices.ContainsFunc(strings.Split(in.rows, "|"), func(part string) bool { return strings.Contains(c.row, part) }) {
			return in.why
		}
	}
	return ""
}

// page renders docs/interop.md.
func (m *interop) page(tables []table) string {
	var b strings.Builder
	var notes []string
	b.WriteString(interopHead)
	for _, table := range tables {
		fmt.Fprintf(&b, "## %s\n\n| ", table.title)
		for _, p := range m.peers {
			fmt.Fprintf(&b, "| %s reads | writes ", p.Name())
		}
		fmt.Fprintf(&b, "|\n|---%s|\n", strings.Repeat("|---|---", len(m.peers)))
		for _, row := range table.rows {
			fmt.Fprintf(&b, "| %s ", row.name)
			for _, p := range m.peers {
				for _, role := range []string{"reads", "writes"} {
					fmt.Fprintf(&b, "| %s ", m.text(&notes, cell{p.Name(), role, row.name}))
				}
			}
			b.WriteString("|\n")
		}
		b.WriteString("\n")
	}
	b.WriteString("## Why not\n\n")
	for i, why := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, why)
	}
	return b.String()
}

func (m *interop) text(notes *[]string, c cell) string {
	why := m.cells[c]
	if why == "" {
		return "yes"
	}
	i := slices.Index(*notes, why)
	if i < 0 {
		i = len(*notes)
		*notes = append(*notes, why)
	}
	return fmt.Sprintf("no (%d)", i+1)
}

const interopHead = `# Interoperability

Generated by a test (` + "`go test ./test -run TestInterop -update`" + `), which fails when a
cell is no longer true. The peers are those of Debian 12: OpenSSL 3.0 (` + "`openssl cms`" + `),
GnuPG 2.2.40 (` + "`gpgsm`" + `), NSS 3.87 (` + "`cmsutil`" + `) and Bouncy Castle 1.72. In each
cell: whether the peer reads what smimerelay writes, and whether smimerelay reads
what the peer writes. A number says why not, below.

What is in none of these is held to the standards' own values, in the tests of smime/cms and internal/pkix:

- ML-KEM-512, -768 and -1024 (RFC 9936): the message of appendix C, with the private key
  as seed, as expanded key and as both, and all steps between
- ML-DSA-44, -65 and -87 (RFC 9882): the messages of appendix B
- both also by OpenSSL 3.6 of Debian unstable, both ways: signatures, clear and opaque, with
  each ML-DSA; AES-128-GCM, AES-256-GCM and AES-256-CBC with each ML-KEM; and what each
  deployment of the gateway wrote (make post-quantum)
- SLH-DSA, all sets (RFC 9814, RFC 9909), verified only: messages, clear and opaque, that
  OpenSSL 3.6 of Debian unstable signed with each set (make post-quantum), vectors of NIST's
  ACVP for SHAKE-128f and SHA2-192s, and messages that the library behind it signed
- RSASSA-PSS and ECDSA with SHAKE128 and SHAKE256 (RFC 8702), verified only: signatures of
  Bouncy Castle 1.72
- header protection (RFC 9788): all messages of appendix C, made again from their description and with
  the key of RFC 9216, octet by octet; what is read of each, and what is written for the same texts
- the derivation of the content key (RFC 9709): appendices A and B

`

func newInterop(t *testing.T) *interop {
	m := &interop{ids: map[string]*testpki.Identity{}, cells: map[cell]string{}}
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	ca := testpki.Must(root.Intermediate(testpki.Options{Name: "Mail CA"}))
	var ids []*testpki.Identity
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521", "ed25519", "x25519"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{kind + "@test.example"}, Key: kind}))
		m.ids[kind] = id
		ids = append(ids, id)
	}
	m.ours = peer.NewSmimerelay(t, program, ca, ids...)
	usable := slices.DeleteFunc(slices.Clone(ids), func(id *testpki.Identity) bool {
		return id == m.ids["x25519"] || id == m.ids["ed25519"]
	})
	m.peers = []peer.Peer{
		peer.NewOpenSSL(t, ca, ids...), peer.NewGnuPG(t, ca, usable...), peer.NewNSS(t, ca, usable...),
		peer.NewBouncyCastle(t, ca, ids...),
	}
	return m
}

// errOurs is a failure that no inability of a peer excuses.
var errOurs = errors.New("smimerelay")

const interopEntity = "Content-Type: text/plain; charset=us-ascii\r\n\r\nhello\r\nfrom the other side\r\n"

// signed: the peer verifies our signature, clear and opaque.
func (m *interop) signed(p peer.Peer, row interopRow) error {
	for _, sign := range []func([]byte, *testpki.Identity, peer.Algorithms) ([]byte, error){m.ours.Sign, m.ours.SignClear} {
		message, err := sign([]byte(interopEntity), m.ids[row.key], row.alg)
		if err != nil {
			return fmt.Errorf("%w: %w", errOurs, err)
		}
		content, err := p.Verify(message)
		if err := same(content, err); err != nil {
			return err
		}
	}
	return nil
}

func same(content []byte, err error) error {
	if err == nil && !bytes.Equal(canonical(content), []byte(interopEntity)) {
		return fmt.Errorf("the content is %q", content)
	}
	return err
}

// signedByPeer: we verify the peer's signature.
func (m *interop) signedByPeer(p peer.Peer, row interopRow) error {
	signer := m.ids[row.key]
	message, err := p.Sign([]byte(interopEntity), signer, row.alg)
	if err != nil {
		return err
	}
	from := fmt.Sprintf("From: <%s>\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n", signer.Certificate.EmailAddresses[0])
	_, err = m.ours.Verify(append([]byte(from), message...))
	return err
}

// encrypted: the peer decrypts what we encrypt.
func (m *interop) encrypted(p peer.Peer, row interopRow) error {
	message, err := m.ours.Encrypt([]byte(interopEntity), m.ids[row.key], row.alg)
	if err != nil {
		return fmt.Errorf("%w: %w", errOurs, err)
	}
	return same(p.Decrypt(message))
}

// encryptedByPeer: we decrypt what the peer encrypts.
func (m *interop) encryptedByPeer(p peer.Peer, row interopRow) error {
	message, err := p.Encrypt([]byte(interopEntity), m.ids[row.key], row.alg)
	if err != nil {
		return err
	}
	inner, err := m.ours.Decrypt(message)
	if err != nil {
		return err
	}
	return same(entityOf(inner), nil)
}
