package test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/peer"
)

// postQuantum is the configuration of an authority that issues post-quantum
// certificates, and of mail between its holders.
const postQuantum = `
[ca]
url = "http://127.0.0.1:9/ca/"
organization = "Corp"
country = "DE"
key_type = "ml-dsa-65"

[[rule]]
name = "post-quantum"
direction = "outbound"
recipient = ["quinn@corp.example"]
sign = "require"
encrypt = "require"
profile = "pqc"
`

// TestPostQuantum: in every deployment a message is signed with ML-DSA and encrypted
// with ML-KEM, with certificates of the gateway's own authority, and what left is
// decrypted and verified when it comes in, and by OpenSSL 3.6 where that is at hand.
func TestPostQuantum(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.more = postQuantum
			d := open(t, w)
			d.gateway.Run(t, "ca", "init", "--key", "ml-dsa-87")
			d.gateway.Run(t, "cert", "issue", "quinn@corp.example", "quill@corp.example")
			d.gateway.WaitLog(t, "certificate store changed; changes applied", 1)
			m := newMail(t, "quill@corp.example", "quinn@corp.example")
			want(t, d.send(t, m), m.to[0], "accepted")
			left := d.arrived(t, m, m.to[0])
			if bytes.Contains(left.Data, []byte(secret)) || !bytes.Contains(left.Data, []byte("authEnveloped-data")) {
				t.Fatalf("not encrypted:\n%s", left.Data)
			}
			if o, found := peer.FindNewerOpenSSL(); found {
				if read := readByPeer(t, o, d.gateway, "quill@corp.example", m.to[0], left.Data); !strings.Contains(read, secret) {
					t.Errorf("OpenSSL reads\n%s", read)
				}
			}
			back := m
			back.id = "back." + m.id
			back.verbatim = bytes.Replace(left.Data, []byte("<"+m.id+">"), []byte("<"+back.id+">"), 1)
			want(t, d.receive(t, back), m.to[0], "accepted")
			got := string(d.arrived(t, back, m.to[0]).Data)
			if !strings.Contains(got, fmt.Sprintf("%s of %s", secret, m.id)) || !strings.Contains(got, "smime=pass") || !strings.Contains(got, "ml-dsa-65") {
				t.Errorf("not read:\n%s", got)
			}
		})
	}
}
