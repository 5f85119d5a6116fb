// Package arch holds no code: its test keeps imports from running against the
// direction in which data moves (docs/architecture.md).
package arch

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/smimerelay/smimerelay/"

// allowed are the packages of ours that a folder may import. A name that ends
// in "/" means the package and all below; a folder without a row may import
// nothing of ours.
var allowed = map[string][]string{
	"smime/address":             {},
	"smime/message":             {"smime/address", "internal/charset", "internal/fault"},
	"internal/fault":            {},
	"internal/printable":        {},
	"internal/charset":          {},
	"internal/pkix":             {},
	"internal/guard":            {"internal/fault"},
	"internal/cache":            {},
	"internal/spool":            {},
	"internal/background":       {"internal/guard"},
	"internal/webguard":         {},
	"internal/forwarded":        {},
	"internal/dns":              {"internal/"},
	"internal/pemfile":          {"internal/pkix"},
	"internal/bodytext":         {"internal/charset", "internal/lookalike", "smime/message"},
	"internal/sqlitedb":         {"internal/filesystem"}, // who owns a file
	"internal/config":           {"smime/address"},
	"internal/observe":          {"smime/address", "internal/"},
	"internal/tracing":          {"internal/fault"},
	"internal/testing":          {"internal/"},
	"internal/slapdtest":        {"internal/testing/"},
	"internal/testing/killtest": {"certs", "certs/enrol", "certs/store", "smime/address", "internal/testing/testpki"},
	"internal/testing/wiretest": {"relay", "relay/answer", "smime/address", "smime/message", "internal/"},
	"smime/cms":                 {"internal/pkix", "internal/rc2", "internal/cache"}, // one reader of certificates, one judgement of keys
	"smime":                     {"smime/", "certs", "internal/"},
	"enforce":                   {"smime/address"},
	"certs":                     {"smime/cms", "smime/address", "internal/"},
	"certs/internal":            {"certs/internal/", "smime/cms", "internal/"},
	"certs/file":                {"certs", "certs/internal/", "certs/revocation", "smime/cms", "internal/"},
	"certs/path":                {"certs", "certs/revocation", "smime/cms", "smime/address", "internal/"},
	"certs/publicroots":         {"internal/"},
	"certs/ca":                  {"certs", "certs/file", "certs/store", "smime/address", "internal/"},
	"certs/ocsp":                {"internal/"},
	"certs/enrol":               {"certs", "certs/ca", "certs/store", "smime/address", "internal/"},
	"certs/enrol/builtin":       {"certs", "certs/ca", "certs/enrol", "certs/store", "smime/address", "internal/"},
	"certs/enrol/acme":          {"certs", "certs/enrol", "certs/file", "certs/store", "smime/address", "smime/message", "internal/"},
	"certs/enrol/command":       {"certs/enrol", "certs/file", "certs/store", "internal/"},
	"certs/enrol/est":           {"certs", "certs/enrol", "certs/file", "smime/cms", "internal/"},
	"certs/enrol/scep":          {"certs", "certs/ca", "certs/enrol", "certs/file", "smime/cms", "internal/"},
	"certs/enrol/folder":        {"certs/file", "certs/intake", "certs/store"},
	"certs/token":               {"certs", "certs/token/", "smime/cms", "smime/address", "internal/"},
	"certs/token/contract":      {"internal/printable"},
	"certs/token/cryptoki":      {"certs/file", "certs/token/", "internal/"}, // the gateway has none of it
	"certs/describe":            {"certs", "certs/store", "smime/cms", "smime/address", "internal/"},
	"certs/intake":              {"certs", "certs/file", "certs/store", "internal/"},
	"certs/revocation":          {"smime/address", "internal/"},
	// The store keeps what certs and cms know of a certificate.
	"certs/store": {"certs", "certs/file", "certs/path", "smime/cms", "smime/address", "internal/"},
	// What was decided, and why: it is read, and never decides.
	"history":   {"enforce", "smime/address", "internal/"},
	"directory": {"certs", "certs/file", "certs/store", "smime/cms", "smime/address", "internal/"},
	// What others may have, and how they get it.
	"publish":           {"certs", "certs/store", "smime/address", "internal/"},
	"publish/web":       {"certs/file", "publish", "smime/address", "internal/"},
	"publish/dnszone":   {"publish", "smime/address"},
	"publish/ldapd":     {"certs/file", "publish", "smime/address", "internal/"},
	"publish/userentry": {"certs", "directory", "publish", "smime/address", "smime/cms", "internal/"},
	// The words at the seams, and nothing that does anything.
	"relay": {"smime/address", "smime/message", "internal/fault"},
	// The pipeline knows everyone.
	"relay/gateway":    {"relay", "relay/answer", "relay/dsn", "relay/returnpath", "enforce", "certs", "directory", "smime", "smime/", "internal/"},
	"relay/policytest": {"history", "relay", "relay/gateway", "enforce", "certs", "directory", "smime/", "internal/"},
	// What mail teaches goes into the store, judged like everything else.
	"relay/harvest":    {"enforce", "certs", "certs/file", "certs/store", "directory", "smime/", "internal/"},
	"relay/answer":     {"relay", "smime/address", "smime/message", "internal/"},
	"relay/dsn":        {"relay", "smime/address", "smime/message", "internal/"},
	"relay/returnpath": {"smime/address", "internal/"},
	"relay/milter":     {"relay", "relay/internal/", "smime/address", "smime/message", "internal/"},
	"relay/smtpd":      {"relay", "relay/internal/", "smime/address", "smime/message", "internal/"},
	"relay/smtpclient": {"relay", "relay/internal/", "smime/address", "smime/message", "internal/"},
	"relay/userfile":   {"internal/"},
	"relay/route":      {"relay", "enforce", "smime/address"},
	"relay/mtasts":     {"internal/dns", "internal/filesystem", "internal/webguard"},
	"relay/nexthop":    {"relay", "relay/mtasts", "relay/smtpclient", "internal/"},
	"relay/queue":      {"relay", "relay/internal/", "smime/address", "smime/message", "internal/"},
	// Who may use the console, and nothing of the gateway.
	"console/access": {"internal/"},
	// Who a provider says that someone is, and nothing of the gateway.
	"console/openid": {"console/access", "internal/"},
	// The console shows the gateway, and acts on it, by what service gives it.
	"console/api":    {"console/access", "certs", "certs/describe", "certs/file", "certs/store", "directory", "history", "relay", "relay/gateway", "relay/policytest", "relay/queue", "smime/", "internal/"},
	"console":        {"console/", "certs/describe", "history", "relay/gateway", "relay/queue", "internal/"},
	"relay/internal": {"relay", "relay/internal/", "smime/address", "smime/message", "internal/"},
}

// everything may import whatever it likes: the wiring and the tests.
var everything = []string{"cmd/", "service/", "test/"}

// pure are packages that do no I/O, with whatever they import: every decision
// can be repeated.
var pure = []string{"enforce", "smime/cms", "smime/address", "internal/charset", "smime/message"}

// inputOutput are the packages that would mean I/O.
var inputOutput = []string{"net", "net/http", "os/exec", "database/sql", "crypto/tls", "log/slog", "internal/poll"}

type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func packages(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}

func TestImportsFollowTheData(t *testing.T) {
	all := packages(t)
	if len(all) < 10 {
		t.Fatalf("go list knows %d packages only", len(all))
	}
	for name, p := range all {
		if slices.ContainsFunc(everything, func(top string) bool { return strings.HasPrefix(name+"/", top) }) {
			continue
		}
		for _, imported := range p.Imports {
			ours, ok := strings.CutPrefix(imported, module)
			if ok && !permits(row(name), ours) {
				t.Errorf("%s imports %s: this is against the arrow, or the table in this test lacks a reason", name, ours)
			}
		}
	}
}

// row returns what the package name may import: the row of the nearest folder.
func row(name string) []string {
	for {
		if list, ok := allowed[name]; ok {
			return list
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return nil
		}
		name = name[:i]
	}
}

func permits(list []string, imported string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		return entry == imported || strings.HasSuffix(entry, "/") && strings.HasPrefix(imported+"/", entry)
	})
}

func TestPurePackagesDoNoIO(t *testing.T) {
	all := packages(t)
	for _, name := range pure {
		p, ok := all[name]
		if !ok {
			t.Errorf("package %s does not exist", name)
		}
		for _, dep := range p.Deps {
			if slices.Contains(inputOutput, dep) && !indirectly(name, dep) {
				t.Errorf("%s reaches %s", name, dep)
			}
		}
		for _, imported := range p.Imports {
			if imported == "os" || imported == "time" && name == "enforce" {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// indirectly are the exceptions: crypto/x509 and net/mail bring package net for
// its addresses, and fmt brings os and with it the poller.
func indirectly(name, dep string) bool {
	switch dep {
	case "internal/poll":
		return true
	case "net":
		return name == "smime/cms" || name == "smime/message"
	}
	return false
}

// TestPermits keeps the test able to fail.
func TestPermits(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"relay/milter", "relay", true},
		{"relay/milter", "relay/internal/wire", true},
		{"relay/milter", "enforce", false},
		{"relay/milter", "relay/queue", false},
		{"smime/cms", "smime/address", false},
		{"enforce", "certs", false},
		{"certs", "directory", false},
		{"unheard/of", "relay", false},
	} {
		if got := permits(row(c.from), c.to); got != c.want {
			t.Errorf("%s -> %s: %t", c.from, c.to, got)
		}
	}
}
