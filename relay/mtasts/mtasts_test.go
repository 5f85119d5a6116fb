package mtasts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/dns"
)

const good = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmx: *.mail.example.net\r\nmax_age: 86400\r\n"

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]string{
		good: "enforce [mx.example.net *.mail.example.net] 24h0m0s",
		"version: STSv1\nmode:testing\nmx:MX.example.net\nmax_age:604800\nother: x\nnonsense\n": "testing [mx.example.net] 168h0m0s",
		"version: STSv1\nmode: none\nmax_age: 99999999\n":                                       "none [] 8766h0m0s",
		"version: STSv1\nmode: enforce\nmode: none\nmx: a\nmax_age: 1\nmax_age: 2\n":            "enforce [a] 1s",
		"version: STSv2\nmode: enforce\nmx: a\nmax_age: 1\n":                                    "error",
		"mode: enforce\nmx: a\nmax_age: 1\n":                                                    "error",
		"version: STSv1\nmode: enforce\nmax_age: 1\n":                                           "error",
		"version: STSv1\nmode: hard\nmx: a\nmax_age: 1\n":                                       "error",
		"version: STSv1\nmode: enforce\nmx: a\n":                                                "error",
		"version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n":                                   "error",
		"version: STSv1\nmode: enforce\nmx: a\nmax_age: 1d\n":                                   "error",
		"":                            "error",
		"<html>version: STSv1</html>": "error",
	} {
		p, err := parsePolicy(text)
		got := fmt.Sprintf("%s %v %v", p.Mode, p.MX, p.MaxAge)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s (%v)", text, got, want, err)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(good)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(text)
		if err == nil && (p.MaxAge < 0 || p.MaxAge > maxMaxAge || p.Mode == Enforce && len(p.MX) == 0) {
			t.Errorf("%+v", p)
		}
		p.Matches("mx.example.net")
	})
}

func TestMatches(t *testing.T) {
	p := Policy{MX: []string{"mx.example.net", "*.mail.example.net"}}
	for host, want := range map[string]bool{
		"mx.example.net": true, "MX.example.net.": true, "a.mail.example.net": true,
		"a.b.mail.example.net": false, "mail.example.net": false, "example.net": false, "xmx.example.net": false, "": false,
	} {
		if p.Matches(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

func TestRecord(t *testing.T) {
	for text, want := range map[string]string{
		"v=STSv1; id=20160831085700Z;": "20160831085700Z", "v=STSv1;id=1": "1", "v=STSv1 ; a=b; id=2": "2",
		"v=STSv1;": "", "v=STSv1; id=../x": "", "v=STSv2; id=1": "", "id=1; v=STSv1": "", "v=STSv1; id=1|v=STSv1; id=2": "",
		"other|v=STSv1; id=3": "3", "": "", "v=STSv1; id=" + strings.Repeat("1", 33): "",
	} {
		id, ok := recordID(strings.Split(text, "|"))
		if id != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", text, id, ok)
		}
	}
}

// world is a domain whose record and policy the test changes.
type world struct {
	t       *testing.T
	now     time.Time
	records []string
	dnsErr  error
	text    string
	webErr  error
	fetches int
	cache   *Cache
}

func newWorld(t *testing.T, folder string) *world {
	w := &world{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), records: []string{"v=STSv1; id=1"}, text: good}
	w.restart(folder)
	return w
}

func (w *world) restart(folder string) {
	w.cache = New(Config{Lookup: w, Folder: folder, Clock: func() time.Time { return w.now },
		Fetch: func(context.Context, string) (string, error) { w.fetches++; return w.text, w.webErr }})
}

// TXT implements the Lookup of Config.
func (w *world) TXT(_ context.Context, name string) ([]string, error) {
	if name != "_mta-sts.example.net" {
		w.t.Errorf("asked for %q", name)
	}
	return w.records, w.dnsErr
}

// want looks the policy up, and says what must be found, after how many fetches in all.
func (w *world) want(what, mode string, fails bool, fetches int) {
	w.t.Helper()
	f := w.cache.Find(w.t.Context(), "example.net")
	got := ""
	if f.Policy != nil {
		got = string(f.Policy.Mode)
	}
	if got != mode || (f.Err != nil) != fails || w.fetches != fetches {
		w.t.Errorf("%s: %q, %v, %d fetches; want %q, error %v, %d", what, got, f.Err, w.fetches, mode, fails, fetches)
	}
}

// TestCache: a policy is fetched when its id changes and once a day, counts until its time
// is over whatever DNS and the web server do, and a failure is not repeated at once.
func TestCache(t *testing.T) {
	w := newWorld(t, "")
	w.want("new", "enforce", false, 1)
	w.want("again", "enforce", false, 1)
	w.records = nil
	w.want("record suppressed", "enforce", false, 1)
	w.dnsErr = errors.New("SERVFAIL")
	w.want("DNS down", "enforce", true, 1)
	w.dnsErr = fmt.Errorf("x: %w", dns.ErrNoName)
	w.want("no name", "enforce", false, 1)
	w.records, w.dnsErr, w.webErr = []string{"v=STSv1; id=2"}, nil, errors.New("refused")
	w.want("new id, web server down", "enforce", true, 2)
	w.want("not tried again at once", "enforce", true, 2)
	w.now = w.now.Add(6 * time.Minute)
	w.want("tried again", "enforce", true, 3)
	w.now = w.now.Add(6 * time.Minute)
	w.webErr, w.text = nil, "nonsense"
	w.want("invalid", "enforce", true, 4)
	w.now = w.now.Add(6 * time.Minute)
	w.text = strings.Replace(good, "enforce", "testing", 1)
	w.want("fetched", "testing", false, 5)
	w.now = w.now.Add(23 * time.Hour)
	w.want("less than a day", "testing", false, 5)
	w.now = w.now.Add(59 * time.Minute)
	w.webErr = errors.New("refused")
	w.want("still the same", "testing", false, 5)
	w.now = w.now.Add(time.Minute)
	w.want("over", "", true, 6)
	w.webErr, w.text, w.now = nil, "version: STSv1\nmode: none\nmax_age: 86400\n", w.now.Add(6*time.Minute)
	w.want("none", "", false, 7)
	w.want("none is kept", "", false, 7)
	w.records = []string{"v=STSv1; id=3"}
	w.text = good
	w.want("and again", "enforce", false, 8)
}

// TestKept: a restart does not forget, and a damaged file is fetched again.
func TestKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "policies")
	w := newWorld(t, folder)
	w.want("new", "enforce", false, 1)
	w.webErr, w.records = errors.New("refused"), nil
	w.restart(folder)
	w.want("after a restart", "enforce", false, 1)
	if err := os.WriteFile(filepath.Join(folder, "example.net.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.restart(folder)
	w.want("damaged", "", false, 1)
	w.webErr, w.records = nil, []string{"v=STSv1; id=1"}
	w.want("fetched again", "enforce", false, 2)
}

// TestExchanged: a cache that takes the place of another one knows what that did.
func TestExchanged(t *testing.T) {
	w := newWorld(t, "")
	w.want("new", "enforce", false, 1)
	c := w.cache.config
	c.Before = w.cache
	w.cache, w.records = New(c), nil
	w.want("after a reload", "enforce", false, 1)
}

// TestRoom: many domains do not make the cache forget a policy that counts.
func TestRoom(t *testing.T) {
	w := newWorld(t, "")
	w.want("new", "enforce", false, 1)
	for i := range maxEntries + 10 {
		w.cache.entry(fmt.Sprintf("d%d.example", i))
	}
	if n := len(w.cache.entries); n > maxEntries {
		t.Errorf("%d entries", n)
	}
	w.webErr = errors.New("refused")
	w.want("still there", "enforce", false, 1)
}
