package dnszone

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

func entry(text string) *publish.Entry {
	return &publish.Entry{Address: testpki.Must(address.Parse(text)), Certificates: []*x509.Certificate{{Raw: []byte{0x30, 1, 2}}}}
}

// TestNames has the example of RFC 8162 section 3, and both forms of capital letters.
func TestNames(t *testing.T) {
	const hugh = "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com."
	if got := names(testpki.Must(address.Parse("hugh@example.com"))); !slices.Equal(got, []string{hugh}) {
		t.Error(got)
	}
	if got := names(testpki.Must(address.Parse("Hugh@Example.com"))); len(got) != 2 || got[1] != hugh || got[0] == hugh {
		t.Error(got)
	}
}

func TestLines(t *testing.T) {
	z := New("example.com", slices.Values([]*publish.Entry{entry("hugh@example.com"), entry("a@sub.example.com"), entry("a@notexample.com"), entry("a@com")}))
	lines := slices.Collect(z.Lines(time.Minute))
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "._smimecert.example.com. 60 IN SMIMEA 3 0 0 300102") {
		t.Errorf("%q", lines)
	}
	for _, l := range lines {
		if _, err := dns.NewRR(l); err != nil {
			t.Error(err)
		}
	}
}

// TestAnswersMustBeSigned: who has not the key cannot say that an update was done.
func TestAnswersMustBeSigned(t *testing.T) {
	const secret = "c2VjcmV0"
	for name, c := range map[string]struct {
		secret string // of the server
		sign   bool
		code   int
		want   string
	}{
		"signed": {secret, true, dns.RcodeSuccess, ""}, "unsigned": {secret, false, dns.RcodeSuccess, errUnsigned.Error()},
		"another key": {"b3RoZXI=", true, dns.RcodeSuccess, "bad"}, "refused": {secret, true, dns.RcodeRefused, "REFUSED"},
	} {
		l := testpki.Must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))
		s := &dns.Server{Listener: l, TsigSecret: map[string]string{"key.": c.secret}, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
			Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
				m := new(dns.Msg)
				m.SetRcode(r, c.code)
				if c.sign {
					m.SetTsig("key.", dns.HmacSHA256, 300, time.Now().Unix())
				}
				_ = w.WriteMsg(m) // the client says what it got
			})}
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		u := Updater{Server: l.Addr().String(), Zone: "example.com", KeyName: "Key", Algorithm: "hmac-sha256", TTL: time.Hour, Timeout: 10 * time.Second,
			Secret: func() (string, error) { return secret, nil }, Clock: time.Now}
		_, err := u.Write(context.Background(), publish.Change{Object: "x._smimecert.example.com.", Wanted: [][]byte{{1}}})
		if got := fmt.Sprint(err); (c.want == "") != (err == nil) || !strings.Contains(got, c.want) && c.want != "" {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	}
}
