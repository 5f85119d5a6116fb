package dns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
)

func lookup(t *testing.T, servers ...string) *Lookup {
	t.Helper()
	var list []*Resolver
	for _, s := range servers {
		r, err := New(Config{Server: s})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return NewLookup(list...)
}

// TestLookup asks real servers: what is signed is secure by the resolver that validates,
// and by no other; what is missing is missing, and what is bogus is an error.
func TestLookup(t *testing.T) {
	records := []string{
		"@ IN MX 10 mx", "@ IN MX 20 alias", "mx IN A 192.0.2.1", "mx IN AAAA 2001:db8::1", "alias IN CNAME mx",
		"loop IN CNAME loop2", "loop2 IN CNAME loop", `_mta-sts IN TXT "v=STSv1; " "id=1;"`,
		"_25._tcp.mx IN TLSA 3 1 1 0102030405060708091011121314151617181920212223242526272829303132",
		"null IN MX 0 .", "text IN TXT \"x\"",
	}
	s := dnstest.Start(t, dnstest.Zone{Name: "signed.test", Records: records},
		dnstest.Zone{Name: "plain.test", Records: records, Unsigned: true}, dnstest.Zone{Name: "bogus.test", Records: records, Expired: true})
	closed := "127.0.0.1:1"
	for name, l := range map[string]*Lookup{"validating": lookup(t, closed, s.Validating), "careless": lookup(t, s.Careless)} {
		for _, zone := range []string{"signed.test", "plain.test"} {
			secure := name == "validating" && zone == "signed.test"
			t.Run(name+" "+zone, func(t *testing.T) { answers(t, l, zone, secure) })
		}
	}
	l := lookup(t, s.Validating)
	_, _, mx := l.MX(t.Context(), "bogus.test")
	_, host := l.Host(t.Context(), "mx.bogus.test")
	_, _, tlsa := l.TLSA(t.Context(), "_25._tcp.mx.bogus.test")
	for _, err := range []error{mx, host, tlsa} {
		if !errors.Is(err, ErrBogus) {
			t.Errorf("bogus: %v", err)
		}
	}
}

func answers(t *testing.T, l *Lookup, zone string, secure bool) {
	ctx := t.Context()
	var got strings.Builder
	say := func(secured bool, err error, what ...any) {
		if err == nil && secured != secure {
			t.Errorf("%v: secure %v, want %v", what, secured, secure)
		}
		note := ""
		if errors.Is(err, ErrNoName) {
			note = " no name"
		} else if err != nil {
			note = " error"
		}
		fmt.Fprintf(&got, "%v%s\n", what, note)
	}
	mx, ok, err := l.MX(ctx, zone)
	say(ok, err, len(mx), mx[0].Host == "mx."+zone || mx[1].Host == "mx."+zone, mx[0].Preference+mx[1].Preference)
	mx, ok, err = l.MX(ctx, "null."+zone)
	say(ok, err, mx)
	mx, ok, err = l.MX(ctx, "text."+zone)
	say(ok, err, mx)
	_, _, err = l.MX(ctx, "absent."+zone)
	say(false, err, "absent")
	for _, name := range []string{"mx", "alias", "text", "absent"} {
		h, err := l.Host(ctx, name+"."+zone)
		say(h.Secure, err, strings.TrimSuffix(h.Name, "."+zone), h.Addresses)
	}
	tlsa, ok, err := l.TLSA(ctx, "_25._tcp.mx."+zone)
	say(ok, err, len(tlsa), tlsa[0].Usage, tlsa[0].Selector, tlsa[0].Matching, len(tlsa[0].Data))
	txt, err := l.TXT(ctx, "_mta-sts."+zone)
	say(secure, err, txt)
	want := `[2 true 30]
[[{ 0}]]
[[]]
[absent] no name
[mx [2001:db8::1 192.0.2.1]]
[mx [2001:db8::1 192.0.2.1]]
[text []]
[absent []] no name
[1 3 1 1 32]
[[v=STSv1; id=1;]]
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestNamesThatCannotBe: aliases in a circle, and a name that is too long.
func TestNamesThatCannotBe(t *testing.T) {
	l := lookup(t, "127.0.0.1:1")
	if _, err := l.TXT(t.Context(), strings.Repeat("a.", 200)+"test"); !errors.Is(err, ErrNoName) {
		t.Errorf("%v", err)
	}
	if _, err := l.TXT(t.Context(), "example.org"); err == nil || errors.Is(err, ErrNoName) {
		t.Errorf("%v", err)
	}
	if _, err := NewLookup().TXT(t.Context(), "example.org"); err == nil {
		t.Error("no resolver, and an answer")
	}
}

// TestHostName: what a stranger's zone has as the name of a host gets nowhere if it can
// break a line or be read as something else.
func TestHostName(t *testing.T) {
	for name, want := range map[string]string{
		"mx.example.net": "mx.example.net", "_x.a-1.test": "_x.a-1.test", "": "",
		"a\r\n550 b": "name.invalid", "a b": "name.invalid", "é.test": "name.invalid", "a/b": "name.invalid", "a:25": "name.invalid",
	} {
		if got := hostName(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

func TestServers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# x\nsearch example.org\nnameserver 127.0.0.53\nnameserver bad\n nameserver ::1 # y\noptions edns0\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := SystemServers(path); err != nil || strings.Join(got, " ") != "127.0.0.53:53 [::1]:53" {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("nameserver x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := SystemServers(path); err == nil {
		t.Errorf("%v", got)
	}
	for server, want := range map[string]string{
		"127.0.0.1": "trusted", "[::1]:5353": "trusted", "tls://dns.example.net": "trusted", "192.0.2.1": "not trusted",
		"tls://": "error", "localhost:53": "error", "": "error",
	} {
		got := "error"
		if r, err := New(Config{Server: server}); err == nil && r.Trusted() && NewLookup(r).Trusted() {
			got = "trusted"
		} else if err == nil {
			got = "not trusted"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", server, got, want)
		}
	}
}
