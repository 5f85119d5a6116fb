package console

import (
	"io/fs"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/console/openid"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// TestEveryTextIsTranslated: a text of the pages, and each word that they show from a closed
// list, has its German, and German has none that is not shown.
func TestEveryTextIsTranslated(t *testing.T) {
	shown := map[string]bool{}
	for _, o := range history.Outcomes {
		shown[string(o)] = true
	}
	for _, s := range queue.Statuses {
		shown[string(s)] = true
	}
	for _, r := range access.Roles {
		shown[string(r)] = true
	}
	for _, e := range []error{errSignIn, errForbidden, errForm, errTooLarge, errBadForm, errNoPage, errMethod, errOrigin, errNone, errReason, errTime, errLong, access.ErrRefused, access.ErrLocked, access.ErrBusy,
		access.ErrNoRole, access.ErrTaken, access.ErrName, access.ErrUsed} {
		shown[e.Error()] = true
	}
	for _, c := range []confirmation{removal, plainRelease} {
		shown[c.question], shown[c.button] = true, true
	}
	for _, n := range notices {
		shown[n] = true
	}
	for _, k := range []fault.Kind{fault.Internal, fault.Unavailable, fault.Capacity, fault.Identity, fault.NextHop, fault.Held, fault.Policy,
		fault.Malformed, fault.TooLarge, fault.BadAddress, fault.Refused} {
		shown[k.String()] = true
	}
	for _, k := range []store.ActionKind{store.WasImported, store.WasIssued, store.WasRevoked, store.WasAllowed, store.WasBlocked, store.WasCleared, store.WasPinned, store.WasUnpinned} {
		shown[string(k)] = true
	}
	for _, list := range [][]string{
		{api.Unable, api.NoHistory, api.NoFingerprint, errRecipients},
		api.Texts(),
		api.RevocationReasons(),
		{"decryption and verification", "delivery copies", "lookups", "signing and encryption"}, // gateway.Stage.Name
		{"trusted", "untrusted", "unchecked", "good", "revoked", "unknown"},                     // certs.Verdict
		{"passed", "tagged", "quarantined", "reported", "accepted", history.AtRCPT},             // treatments
		texts([]certs.Result{certs.None, certs.Pass, certs.Fail, certs.PolicyNo, certs.Neutral, certs.TempError, certs.PermError}),
		texts([]certs.Reason{
			certs.Expired, certs.NotYetValid, certs.Untrusted, certs.Revoked, certs.RevocationUnknown, certs.NoRevocationInfo, certs.WrongPurpose,
			certs.WrongAddress, certs.WeakKey, certs.WeakSignature, certs.NameConstraint, certs.BadSignature, certs.UnsupportedKey, certs.UnsupportedSigning,
			certs.NotAnAuthority, certs.PathLength, certs.CriticalExtension, certs.PolicyMissing, certs.Malformed, certs.Blocked, certs.TooComplex, certs.NotApproved,
		}),
		{openid.Unavailable, openid.NotBegun, openid.NotProven, openid.Denied, openid.NotVerified, openid.NoName},
		{"decrypted", "kept"}, // relay.Treatment.Encryption, but for "none"
		{"signed", "encrypted", "signed, encrypted", "clear"},                                                // relay.Treatment.Protection
		{string(enforce.MissingCertificate), string(enforce.MissingIdentity), string(enforce.MissingGroup)},  // history.Row.Cause
		{string(history.Answered), string(history.Attempt), string(history.Released), string(history.Ended)}, // history.EventKind
		{"console", "api", "link", "openid", "command line"},                                                 // access.Actor.Via
		{"outbound", "inbound", "both"},                                                                      // gateway.Explanation.Direction
		{string(directory.Usable), string(directory.None), string(directory.Unknown)},                        // directory.Outcome
	} {
		for _, word := range list {
			shown[word] = true
		}
	}
	collect(t, "*.html", shown, `\{\{t "([^"]+)"\}\}`, `\(item \. "[^"]+" "([^"]+)"\)`, `\(shares "([^"]+)"`, `\(t "([^"]+)"\)`)
	collect(t, "*.go", shown, `\.show\([^"\n]+"[^"]+", "([^"]+)"`, `(?:translate|say)\(v\.lang, "([^"]+)"`, `Failed: "([^"]+)"`, `title :?= "([^"]+)"`)
	delete(shown, "")
	if len(shown) < 150 {
		t.Fatalf("only %d texts found", len(shown))
	}
	for s := range shown {
		if german[s] == "" {
			t.Errorf("no German for %q", s)
		}
	}
	for s := range german {
		if !shown[s] {
			t.Errorf("German for %q, which no page shows", s)
		}
	}
}

// collect finds texts in the pages or in the code: what the first group of an expression is.
// Words of a list in a page are all texts.
func collect(t *testing.T, pattern string, into map[string]bool, expressions ...string) {
	t.Helper()
	files, folder := fs.FS(templates), "pages/"
	if strings.HasSuffix(pattern, ".go") {
		files, folder = os.DirFS("."), ""
	}
	names, err := fs.Glob(files, folder+pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	list, word := regexp.MustCompile(`range list ((?:"[^"]+" ?)+)`), regexp.MustCompile(`"([^"]+)"`)
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, e := range expressions {
			for _, m := range regexp.MustCompile(e).FindAllStringSubmatch(string(data), -1) {
				into[m[1]] = true
			}
		}
		for _, m := range list.FindAllStringSubmatch(string(data), -1) {
			for _, w := range word.FindAllStringSubmatch(m[1], -1) {
				into[w[1]] = true
			}
		}
	}
}

// operationsOf are the operations of the API that the form of a page stands for. "" is none: the
// form is about the session itself.
var operationsOf = map[string]string{
	"/sign-in": "", "/sign-in/link": "", "/sign-out": "", "/language": "",
	"/queue/retry": "POST /queue/{id}/retry", "/queue/hold": "POST /queue/{id}/hold", "/queue/release": "POST /queue/{id}/release",
	"/queue/remove": "DELETE /queue/{id}",
	"/held/release": "POST /held/{id}/release", "/held/return": "POST /held/{id}/return", "/held/release-plain": "POST /held/{id}/release-plain",
	"/held/remove":         "DELETE /held/{id}",
	"/certificates/import": "POST /certificates", "/certificates/lookup": "POST /lookup", "/certificates/issue": "POST /identities", "/certificates/{sha256}/revoke": "POST /certificates/{sha256}/revoke",
	"/certificates/{sha256}/allow": "POST /certificates/{sha256}/allow", "/certificates/{sha256}/block": "POST /certificates/{sha256}/block",
	"/certificates/{sha256}/clear": "POST /certificates/{sha256}/clear", "/certificates/{sha256}/pin": "POST /certificates/{sha256}/pin",
	"/certificates/{sha256}/unpin": "POST /certificates/{sha256}/unpin",
	"/rules":                       "POST /explain", "/rules/message": "POST /explain/message", "/rules/replay": "POST /policy/replay",
	"/configuration/check": "POST /configuration/check", "/configuration/reload": "POST /configuration/reload",
}

// TestFormsNeedTheRoleOfTheirOperation: a page calls the operations of the API directly, past the
// check of their role. So its own must be the same.
func TestFormsNeedTheRoleOfTheirOperation(t *testing.T) {
	roles := map[string]access.Role{}
	for _, r := range New(Config{Operations: api.New(api.Operations{})}).Routes() {
		roles[r.Method+" "+r.Path] = r.Role
	}
	forms := 0
	for _, p := range pages {
		if p.method == http.MethodGet {
			continue
		}
		forms++
		operation, listed := operationsOf[p.path]
		if !listed {
			t.Errorf("%s: which operation it stands for is not in the list", p.path)
			continue
		}
		if method, path, ok := strings.Cut(operation, " "); ok {
			if want, known := roles[method+" "+api.Prefix+path]; !known || want != p.role {
				t.Errorf("%s needs %q, and %s needs %q", p.path, p.role, operation, want)
			}
		}
	}
	if forms != len(operationsOf) {
		t.Errorf("%d forms, %d in the list", forms, len(operationsOf))
	}
}

// TestWordsOfTheAPI: the words that a filter admits are all those that there are.
func TestWordsOfTheAPI(t *testing.T) {
	for _, c := range []struct {
		in    any
		field string
		words []string
	}{
		{api.QueueQuery{}, "Status", texts(queue.Statuses)},
		{api.MessageQuery{}, "Outcome", texts(history.Outcomes)},
	} {
		f, _ := reflect.TypeOf(c.in).FieldByName(c.field)
		admitted := strings.Split(f.Tag.Get("enum"), ",")
		slices.Sort(admitted)
		slices.Sort(c.words)
		if !slices.Equal(admitted, c.words) {
			t.Errorf("%s: %q are admitted, %q are there", c.field, admitted, c.words)
		}
	}
}

func texts[T ~string](list []T) (all []string) {
	for _, word := range list {
		all = append(all, string(word))
	}
	return all
}

// TestRoutes: pages and operations can be registered together.
func TestRoutes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range New(Config{Operations: api.New(api.Operations{})}).Routes() {
		key := r.Method + " " + r.Path
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
	if len(seen) < 70 {
		t.Errorf("only %d routes", len(seen))
	}
}

// TestFormats: each language writes times and numbers in its own way.
func TestFormats(t *testing.T) {
	at := time.Date(2026, 3, 1, 14, 5, 9, 0, time.FixedZone("", 3600))
	for lang, want := range map[string][]string{
		"en": {"2026-03-01 13:05:09", "2026-03-01 13:05", "2026-03-01", "2026-03", "–", "0", "999", "1,000", "-1,234,567", "12.3", "1.5 ms", "999 B", "1,234 KiB", "19 MiB"},
		"de": {"01.03.2026 13:05:09", "01.03.2026 13:05", "01.03.2026", "03.2026", "–", "0", "999", "1.000", "-1.234.567", "12,3", "1,5 ms", "999 B", "1.234 KiB", "19 MiB"},
	} {
		f := formats[lang]
		got := []string{
			in(f.moment)(at), in(f.hour)(at), in(f.day)(at), in(f.month)(at), in(f.day)(time.Time{}), f.number(0), f.number(int64(999)), f.number(1000), f.number(-1234567),
			f.tenths(12.34), f.milliseconds(1500 * time.Microsecond), f.size(999), f.size(1234 << 10), f.size(20_000_000),
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
	}
}

// TestSay: what is not known in a language says that it is English, and is no markup.
func TestSay(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"de", "expired", "abgelaufen"},
		{"en", "expired", "expired"},
		{"de", "<b>no</b> \u202e", `<span lang="en">&lt;b&gt;no&lt;/b&gt; \u202e</span>`},
		{"en", "<b>no</b>", "&lt;b&gt;no&lt;/b&gt;"},
	} {
		if got := string(say(c.lang, c.text)); got != c.want {
			t.Errorf("%s: %q: %q, want %q", c.lang, c.text, got, c.want)
		}
	}
}

// TestTimeline: certificates are in the month in which they expire, from that of now on.
func TestTimeline(t *testing.T) {
	now := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	day := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	line := timeline([]api.Expiry{
		{Day: day(2026, 11, 30), Identities: 1}, {Day: day(2027, 1, 1), Partners: 300}, {Day: day(2027, 1, 31), Partners: 100, Identities: 2},
		{Day: day(2027, 10, 31), Partners: 1}, {Day: day(2027, 11, 1), Partners: 5}, {Day: day(2026, 10, 31), Partners: 5},
	}, now)
	if len(line) != 12 || !line[0].Begin.Equal(day(2026, 11, 1)) || !line[11].Begin.Equal(day(2027, 10, 1)) {
		t.Fatalf("%+v", line)
	}
	for i, want := range map[int][3]int64{0: {1, 0, 1}, 2: {2, 400, 1}, 11: {0, 1, 0}} {
		if m := line[i]; int64(m.Identities) != want[0] || int64(m.Partners) != want[1] || m.IdentitiesH != want[2] || m.IdentitiesY != 100-want[2] {
			t.Errorf("%d: %+v", i, m)
		}
	}
	if none := timeline([]api.Expiry{{Day: day(2030, 1, 1), Partners: 1}}, now); none != nil {
		t.Errorf("nothing expires, but %+v", none)
	}
	if line[2].PartnersH != 100 || line[11].PartnersH != 1 {
		t.Errorf("%+v", line)
	}
}

// TestOlder: the link to the page that follows asks for what the page asked for.
func TestOlder(t *testing.T) {
	m := messagesView{Since: "2026-12-01T10:42:00", Query: api.MessageQuery{Text: "a&b@example.org", Rule: "r+1", Listener: "in", Outcome: "refused", Direction: "inbound"}}
	want := "/messages?cursor=7.9&direction=inbound&listener=in&outcome=refused&q=a%26b%40example.org&rule=r%2B1&since=2026-12-01T10%3A42%3A00"
	if got := m.address("7.9"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	a := auditView{Until: "2026-12-02T00:00:00", Query: api.AuditQuery{Who: "alice/ci", What: "held"}}
	if got, want := a.address("7"), "/audit?cursor=7&until=2026-12-02T00%3A00%3A00&what=held&who=alice%2Fci"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestRuleLines: a rule is where its table begins, as explanations, stories and errors have it, and
// also where it has no name.
func TestRuleLines(t *testing.T) {
	list := rulesOf([]config.Option{
		{Key: "rule[0].sign", Value: `"never"`, Line: 26, Table: 24}, {Key: "rule[0].name", Value: `"partners"`, Line: 25, Table: 24}, {Key: "rule[1].name", Value: `"default"`},
	}, "rule[")
	if len(list) != 2 || list[0].Name != "partners" || list[0].Line != 24 || list[1].Line != 0 {
		t.Errorf("%+v", list)
	}
}
