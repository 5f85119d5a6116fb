package service

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/smtp"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/console"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// withConsole is a gateway with a console. A rule, and much of what passes, has markup in it.
const withConsole = `
hostname = "gw.example.org"
domains = ["example.org"]
[console]
address = "127.0.0.1:0"
path = "%DIR%/console.db"
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
[next_hop]
address = "%HOP%"
tls = "off"
[[listener]]
name = "out"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "outbound"
networks = ["127.0.0.0/8"]
[[rule]]
name = "<xss-rule>"
recipient = ["example.net"]
sign = "never"
encrypt = "require"
no_certificate = "hold"
[[rule]]
name = "default"
sign = "prefer"
encrypt = "prefer"
[trust]
anchors = ["ca.pem"]
revocation = "off"
fetch = false
`

// visitors are the accounts of a console, by role, and "" for no one.
type visitors struct {
	*world
	access *access.Store
	url    string
	client *http.Client
}

const consolePassword = "correct horse battery"

func startConsole(t *testing.T) *visitors {
	t.Helper()
	v := &visitors{world: startWorld(t, withConsole)}
	v.url = "http://" + v.address("[console]")
	v.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       patience,
	}
	var err error
	if v.access, err = access.Open(t.Context(), access.Config{Path: filepath.Join(v.dir, "console.db"), Clock: v.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.access.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range access.Roles {
		if err := v.access.AddUser(t.Context(), operatorOf("test"), string(role), role, consolePassword); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func operatorOf(name string) access.Actor { return access.Actor{Name: name, Via: "command line"} }

// session returns the secret of a new session of a role, and its CSRF token.
func (v *visitors) session(role access.Role) (secret, csrf string) {
	v.t.Helper()
	link, err := v.access.CreateLink(v.t.Context(), operatorOf("test"), string(role), time.Minute)
	if err != nil {
		v.t.Fatal(err)
	}
	got, err := v.access.FollowLink(v.t.Context(), link, netip.Addr{}, "")
	if err != nil {
		v.t.Fatal(err)
	}
	s, err := v.access.Session(v.t.Context(), got.Session, access.Passive)
	if err != nil {
		v.t.Fatal(err)
	}
	return got.Session, s.CSRF
}

func (v *visitors) token(role access.Role) string {
	v.t.Helper()
	secret, err := v.access.CreateToken(v.t.Context(), operatorOf("test"), "token-"+string(role), string(role), role, time.Hour)
	if err != nil {
		v.t.Fatal(err)
	}
	return secret
}

// ask sends a request and returns the answer with its text.
func (v *visitors) ask(r *http.Request) (*http.Response, string) {
	v.t.Helper()
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer, string(text)
}

// request makes a request of a page; with a form it is a POST.
func (v *visitors) request(path, session string, form url.Values) *http.Request {
	v.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if session != "" {
		r.AddCookie(&http.Cookie{Name: "smimerelay", Value: session})
	}
	return r
}

// call calls the API.
func (v *visitors) call(method, path, token string, body any) (int, string) {
	v.t.Helper()
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			v.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, &text)
	if err != nil {
		v.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, got := v.ask(r)
	return answer.StatusCode, got
}

// allRoutes are the pages and the operations.
func allRoutes() []console.Route {
	return console.New(console.Config{Operations: api.New(api.Operations{})}).Routes()
}

// filled is the path of a route with values that are of nothing.
func filled(r console.Route) string {
	id := "1"
	if strings.Contains(r.Path, "/held/") {
		id = "h1"
	}
	return strings.NewReplacer("{id}", id, "{sha256}", strings.Repeat("0", 64)).Replace(r.Path)
}

// TestConsoleRoles asks each route as each role. What a role may not is refused before
// anything is looked at; what it may is not.
func TestConsoleRoles(t *testing.T) {
	v := startConsole(t)
	tokens := map[access.Role]string{}
	for _, role := range access.Roles {
		tokens[role] = v.token(role)
	}
	routes := allRoutes()
	if len(routes) < 70 {
		t.Fatalf("only %d routes", len(routes))
	}
	for _, route := range routes {
		for _, role := range append([]access.Role{""}, access.Roles...) {
			if route.Role == "" {
				continue // for everyone
			}
			var got, want int
			if strings.HasPrefix(route.Path, api.Prefix) {
				got, _ = v.call(route.Method, filled(route), tokens[role], nil)
				want = http.StatusUnauthorized
			} else {
				secret, form := "", url.Values(nil)
				if route.Method == http.MethodPost {
					form = url.Values{}
				}
				if role != "" {
					var csrf string
					secret, csrf = v.session(role)
					if form != nil {
						form.Set("csrf", csrf)
						form.Set("text", "nonsense = true") // of a file that is checked
					}
				}
				answer, _ := v.ask(v.request(filled(route), secret, form))
				got, want = answer.StatusCode, http.StatusSeeOther
				if route.Method == http.MethodPost {
					want = http.StatusUnauthorized
				}
				if want == got && role == "" && got == http.StatusSeeOther && !strings.HasPrefix(answer.Header.Get("Location"), "/sign-in") {
					t.Errorf("%s %s leads to %q", route.Method, route.Path, answer.Header.Get("Location"))
				}
			}
			switch {
			case role == "":
			case !role.Includes(route.Role):
				want = http.StatusForbidden
			default:
				if got == http.StatusUnauthorized || got == http.StatusForbidden || got >= http.StatusInternalServerError {
					t.Errorf("%s %s as %s: %d", route.Method, route.Path, role, got)
				}
				continue
			}
			if got != want {
				t.Errorf("%s %s as %q: %d, want %d", route.Method, route.Path, role, got, want)
			}
		}
	}
}

// TestViewersOnlyLook: what asks directories, uses the keys of the gateway or changes something
// needs more than the role of a viewer.
func TestViewersOnlyLook(t *testing.T) {
	harmless := map[string]bool{
		"POST /sign-out":                      true, // of the session itself
		"POST " + api.Prefix + "/policy/test": true, // a pure function of the rules and the request
	}
	for _, r := range allRoutes() {
		if r.Role == access.Viewer && r.Method != http.MethodGet && !harmless[r.Method+" "+r.Path] {
			t.Errorf("a viewer may %s %s", r.Method, r.Path)
		}
	}
	v := startConsole(t)
	token := v.token(access.Operator)
	question := map[string]any{"from": "a@example.org", "to": []string{"b@example.net"}, "message": "From: a@example.org\r\n\r\nHello.\r\n"}
	if code, text := v.call("POST", api.Prefix+"/explain", token, question); code != http.StatusUnprocessableEntity {
		t.Errorf("a message from an operator: %d %s", code, text)
	}
	secret, csrf := v.session(access.Operator)
	form := url.Values{"csrf": {csrf}, "from": {"a@example.org"}, "to": {"b@example.net"}, "message": {"no message: has no header at all"}}
	if answer, text := v.ask(v.request("/rules", secret, form)); answer.StatusCode != http.StatusOK || strings.Contains(text, `id="message"`) {
		t.Errorf("a form of an operator with a message: %d", answer.StatusCode)
	}
	if entries, err := v.access.Audit(t.Context(), access.AuditQuery{Limit: 100}); err != nil || strings.Contains(fmt.Sprint(entries), "message.explain") {
		t.Errorf("%+v, %v", entries, err)
	}
	question["message"] = "From: a@example.org\r\n\r\nHello.\r\n"
	if code, text := v.call("POST", api.Prefix+"/explain/message", v.token(access.Administrator), question); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if entries, err := v.access.Audit(t.Context(), access.AuditQuery{Limit: 1}); err != nil || entries[0].Action != "message.explain" {
		t.Errorf("%+v, %v", entries, err)
	}
}

// TestConsoleForgery sends the forms of the console from another site, or without what a form
// of the session has in it.
func TestConsoleForgery(t *testing.T) {
	v := startConsole(t)
	secret, csrf := v.session(access.Administrator)
	_, other := v.session(access.Administrator)
	for _, route := range allRoutes() {
		if route.Method != http.MethodPost || route.Role == "" || strings.HasPrefix(route.Path, api.Prefix) {
			continue
		}
		for _, token := range []string{"", "x", other} {
			answer, _ := v.ask(v.request(filled(route), secret, url.Values{"csrf": {token}}))
			if answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s with the token %q: %d", route.Path, token, answer.StatusCode)
			}
		}
		r := v.request(filled(route), secret, url.Values{"csrf": {csrf}})
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if answer, _ := v.ask(r); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", route.Path, answer.StatusCode)
		}
		r = v.request(filled(route), secret, url.Values{"csrf": {csrf}})
		r.Header.Set("Origin", "https://evil.example")
		if answer, _ := v.ask(r); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another origin: %d", route.Path, answer.StatusCode)
		}
	}
	// A cookie is nothing to the API: a browser can not be made to call it.
	r := v.request(api.Prefix+"/configuration/reload", secret, url.Values{"csrf": {csrf}})
	if answer, _ := v.ask(r); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the API by a cookie: %d", answer.StatusCode)
	}
	if n := v.log.count("msg=reloaded"); n != 0 {
		t.Errorf("reloaded %d times", n)
	}
}

// TestConsoleMarkup has markup in all that strangers can write, and looks for it in each page
// as it is.
func TestConsoleMarkup(t *testing.T) {
	v := startConsole(t)
	const evil = `<xss-%s>"'><img src=x onerror=alert(1)>` + "\u202e"
	mark := func(name string) string { return fmt.Sprintf(evil, name) }
	subject, err := v.ca.Issue(testpki.Leaf{Name: mark("subject"), Addresses: []string{"bob@example.net"}})
	if err != nil {
		t.Fatal(err)
	}
	token := v.token(access.Administrator)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: subject.Certificate.Raw}))
	if code, answer := v.call("POST", api.Prefix+"/certificates", token, api.PEM{PEM: text}); code != http.StatusOK {
		t.Fatal(code, answer)
	}
	fingerprint := fmt.Sprintf("%x", sha256.Sum256(subject.Certificate.Raw))
	override := map[string]string{"note": mark("note")}
	if code, answer := v.call("POST", api.Prefix+"/certificates/"+fingerprint+"/block", token, override); code != http.StatusOK {
		t.Fatal(code, answer)
	}
	if err := v.sendHeld(`"<xss-sender>"@example.org`, `"<xss-recipient>"@example.net`); err != nil {
		t.Fatal(err)
	}
	past, err := history.Open(t.Context(), history.Place{Path: filepath.Join(v.dir, "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	row := history.Row{
		Time: v.now(), ID: "xss1", MessageID: mark("message-id"), QueueID: mark("queue-id"), Listener: "out", Client: mark("client"), Helo: mark("helo"), User: mark("user"),
		Direction: "outbound", Sender: mustAddress(t, `"<xss-sender>"@example.org`), Recipient: mustAddress(t, `"<xss-recipient>"@example.net`),
		Rule: mark("rule"), Outcome: history.Failed, Reason: mark("reason"), Steps: []string{mark("step")}, Result: mark("result"),
		Events: []history.Event{{Time: v.now(), Kind: history.Attempt, Attempt: 1, Host: mark("host"), Reply: mark("reply"), Reason: mark("why"), By: mark("by")}},
	}
	if _, err := past.Write(t.Context(), history.Batch{Rows: []history.Row{row}}); err != nil {
		t.Fatal(err)
	}
	if err := past.Close(); err != nil {
		t.Fatal(err)
	}

	secret, csrf := v.session(access.Administrator)
	asked := []*http.Request{
		v.request("/messages?q="+url.QueryEscape(mark("q")), secret, nil), v.request("/messages", secret, nil), v.request("/messages/xss1", secret, nil),
		v.request("/queue?recipient="+url.QueryEscape(mark("q"))+"&sender="+url.QueryEscape(mark("q")), secret, nil),
		v.request("/certificates?q="+url.QueryEscape(mark("q")+"@x"), secret, nil), v.request("/certificates?origin="+url.QueryEscape(mark("q")), secret, nil),
		v.request("/certificates/"+fingerprint, secret, nil), v.request("/?done="+url.QueryEscape(mark("done")), secret, nil),
		v.request("/sign-in/link?secret="+url.QueryEscape(mark("link")), "", nil), v.request("/messages/"+url.PathEscape(mark("id")), secret, nil),
		v.request("/sign-in", "", url.Values{"name": {mark("name")}, "password": {"x"}}),
		v.request("/rules", secret, url.Values{"csrf": {csrf}, "from": {mark("from")}, "to": {mark("to")}, "message": {mark("message")}}),
		v.request("/rules", secret, url.Values{"csrf": {csrf}, "from": {"a@example.org"}, "to": {"bob@example.net"}, "message": {"From: " + mark("from") + "\n\nx\n"}}),
		v.request("/configuration/check", secret, url.Values{"csrf": {csrf}, "text": {mark("text") + " = 1"}}),
		v.request("/configuration/check", secret, url.Values{"csrf": {csrf}, "text": {`"` + "<xss-key>" + `" = 1`}}),
		v.request("/held/return", secret, url.Values{"csrf": {csrf}, "id": {mark("id")}, "reason": {mark("reason")}}),
		v.request("/held/return", secret, url.Values{"csrf": {csrf}, "id": {"h1"}, "reason": {mark("reason")}}),
	}
	for _, route := range allRoutes() {
		if route.Method == http.MethodGet && !strings.Contains(route.Path, "{") && !strings.HasPrefix(route.Path, api.Prefix) {
			asked = append(asked, v.request(route.Path, secret, nil))
		}
	}
	escaped := 0
	for _, r := range asked {
		answer, text := v.ask(r)
		if i := strings.Index(text, "<xss"); i >= 0 || strings.Contains(text, "<img") {
			t.Errorf("%s %s: markup comes through: %.120s", r.Method, r.URL, text[max(i, 0):])
		}
		if i := strings.Index(textareas.ReplaceAllString(text, ""), "\u202e"); i >= 0 {
			t.Errorf("%s %s: a mark of direction comes through: %.120s", r.Method, r.URL, text[max(i-60, 0):])
		}
		escaped += strings.Count(text, "&lt;xss-")
		if answer.StatusCode == http.StatusOK && !strings.Contains(text, "</html>") {
			t.Errorf("%s %s is no whole page", r.Method, r.URL)
		}
		checkHeaders(t, r.URL.Path, answer.Header)
	}
	if escaped < 30 {
		t.Errorf("only %d of the texts were shown at all", escaped)
	}
}

// textareas, and fields that are not shown, have what someone has written, as it is.
var textareas = regexp.MustCompile(`(?s)<textarea.*?</textarea>|<input type="hidden".*?>`)

// checkHeaders wants those that keep a page from being framed, and its content from acting.
func checkHeaders(t *testing.T, path string, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		if !strings.Contains(h.Get(name), want) {
			t.Errorf("%s: %s is %q", path, name, h.Get(name))
		}
	}
	if p := h.Get("Content-Security-Policy"); strings.Contains(p, "unsafe") || !strings.Contains(p, "default-src 'none'") {
		t.Errorf("%s: policy %q", path, p)
	}
}

func mustAddress(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sendHeld sends a message that the rules hold.
func (v *visitors) sendHeld(from, to string) error {
	c, err := smtp.Dial(v.address("out"))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.Hello("client.example"), c.Mail(from), c.Rcpt(to)); err != nil {
		return err
	}
	d, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(d, "From: %s\r\nTo: %s\r\nSubject: held\r\n\r\nHello.\r\n", from, to)
	return d.Close()
}

// TestConsoleSignIn signs in by the form: nothing that the browser had before is a session
// afterwards, and guesses are counted.
func TestConsoleSignIn(t *testing.T) {
	v := startConsole(t)
	signIn := func(name, password string) *http.Response {
		answer, _ := v.ask(v.request("/sign-in", "planted", url.Values{"name": {name}, "password": {password}}))
		return answer
	}
	answer := signIn("viewer", consolePassword)
	cookies := answer.Cookies()
	if answer.StatusCode != http.StatusSeeOther || len(cookies) != 2 || cookies[0].Value == "planted" || cookies[0].Value == "" ||
		!cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("%d, %+v", answer.StatusCode, cookies)
	}
	secret := cookies[0].Value
	for session, want := range map[string]int{secret: http.StatusOK, "planted": http.StatusSeeOther} {
		if answer, _ := v.ask(v.request("/", session, nil)); answer.StatusCode != want {
			t.Errorf("session %q: %d", session, answer.StatusCode)
		}
	}
	s, err := v.access.Session(t.Context(), secret, access.Passive)
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := v.ask(v.request("/sign-out", secret, url.Values{"csrf": {s.CSRF}})); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("sign out: %d", answer.StatusCode)
	}
	if answer, _ := v.ask(v.request("/", secret, nil)); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out: %d", answer.StatusCode)
	}
	for i := range 7 {
		want := http.StatusForbidden
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		if answer := signIn("operator", "guess"); answer.StatusCode != want || len(answer.Cookies()) != 0 {
			t.Errorf("guess %d: %d", i, answer.StatusCode)
		}
	}
	if answer := signIn("operator", consolePassword); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the right password while locked: %d", answer.StatusCode)
	}
	if strings.Contains(v.log.String(), consolePassword) {
		t.Error("the log has the password")
	}
}

// TestConsoleHostileRequests are those that no browser sends.
func TestConsoleHostileRequests(t *testing.T) {
	v := startConsole(t)
	secret, csrf := v.session(access.Administrator)
	token := v.token(access.Administrator)
	large := strings.Repeat("x", 8<<20+1) // what is left of it when the answer comes is little: the client reads the answer
	for _, path := range []string{"/sign-in", "/rules", "/rules/message", "/configuration/check"} {
		answer, _ := v.ask(v.request(path, secret, url.Values{"csrf": {csrf}, "text": {large}}))
		if answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with more than 8 MiB: %d", path, answer.StatusCode)
		}
	}
	if code, _ := v.call("POST", api.Prefix+"/explain/message", token, map[string]any{"from": "a@example.org", "to": []string{"b@example.net"}, "message": large}); code != http.StatusRequestEntityTooLarge {
		t.Errorf("the API with more than 8 MiB: %d", code)
	}
	for _, path := range []string{
		"/assets/", "/assets/../console.db", "/assets/%2e%2e/%2e%2e/console.db", "/assets/..%2f..%2fconfig.toml", "//etc/passwd", "/pages/layout.html", "/assets/console.css/../console.go",
		"/certificates/..%2f..%2fetc%2fpasswd", "/messages/..%2f..%2fstore.db",
	} {
		r := v.request("/", secret, nil)
		r.URL.Opaque = "//" + r.URL.Host + path
		if answer, text := v.ask(r); answer.StatusCode == http.StatusOK {
			t.Errorf("%s: %d %.80s", path, answer.StatusCode, text)
		}
	}
	for _, r := range []*http.Request{
		v.request("/language", secret, url.Values{"language": {"de\r\nSet-Cookie: evil=1"}}),
		v.request("/certificates/%0d%0aSet-Cookie:%20evil=1/clear", secret, url.Values{"csrf": {csrf}}),
		v.request("/messages?cursor=%0d%0aSet-Cookie:%20evil=1", secret, nil),
		v.request("/?done=%0d%0aSet-Cookie:%20evil=1", secret, nil),
		v.request("/sign-in", "", url.Values{"name": {"x\r\nSet-Cookie: evil=1"}, "password": {"x"}}),
	} {
		answer, _ := v.ask(r)
		if strings.Contains(fmt.Sprint(answer.Header), "evil") {
			t.Errorf("%s: %v", r.URL, answer.Header)
		}
	}
	// A file is taken for what is in it: its name counts for nothing.
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "../../store.db")
	if err != nil {
		t.Fatal(err)
	}
	_, err = part.Write([]byte("-----BEGIN PRIVATE KEY-----\n"))
	if err := errors.Join(err, w.WriteField("csrf", csrf), w.Close()); err != nil {
		t.Fatal(err)
	}
	r := v.request("/certificates/import", secret, url.Values{})
	r.Body, r.ContentLength = io.NopCloser(&form), int64(form.Len())
	r.Header.Set("Content-Type", w.FormDataContentType())
	if answer, text := v.ask(r); answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "private key") {
		t.Errorf("a private key: %d", answer.StatusCode)
	}
}

// TestConsoleActs does by the API and the pages what administrators do, and finds it done and
// recorded.
func TestConsoleActs(t *testing.T) {
	v := startConsole(t)
	token := v.token(access.Administrator)
	for i := range 3 {
		if err := v.sendHeld("a@example.org", fmt.Sprintf("b%d@example.net", i)); err != nil {
			t.Fatal(err)
		}
	}
	var held struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
		Next string `json:"next"`
	}
	list := func(query string, n int) {
		t.Helper()
		code, text := v.call("GET", api.Prefix+"/held"+query, token, nil)
		held.Next, held.Items = "", nil
		if err := json.Unmarshal([]byte(text), &held); err != nil || code != http.StatusOK || len(held.Items) != n {
			t.Fatalf("%d %s, %v", code, text, err)
		}
	}
	list("?limit=2", 2)
	list("?limit=2&cursor="+held.Next, 1)
	list("", 3)
	first, second := held.Items[0].ID, held.Items[1].ID
	if code, text := v.call("POST", api.Prefix+"/held/"+first+"/release-plain", token, map[string]string{"reason": "agreed by phone"}); code != http.StatusNoContent {
		t.Fatal(code, text)
	}
	v.hop.wait(t, 1)
	secret, csrf := v.session(access.Operator)
	answer, _ := v.ask(v.request("/held/return", secret, url.Values{"csrf": {csrf}, "id": {second}, "reason": {"the partner has left"}}))
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatal(answer.StatusCode)
	}
	entries, err := v.access.Audit(t.Context(), access.AuditQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]access.Entry{}
	for _, e := range entries {
		found[e.Action] = e
	}
	if e := found["held.release-plain"]; e.Object != first || e.Actor.Name != "administrator/token-administrator" || e.Actor.Via != "api" || e.Reason != "agreed by phone" ||
		e.Actor.From != "127.0.0.1" || fmt.Sprint(e.Before["sender"]) != "a@example.org" {
		t.Errorf("%+v", e)
	}
	if e := found["held.return"]; e.Object != second || e.Actor.Name != "operator" || e.Actor.Via != "console" || e.Failed != "" {
		t.Errorf("%+v", e)
	}
	// What fails is recorded, too.
	if code, _ := v.call("POST", api.Prefix+"/configuration/reload", token, nil); code != http.StatusNoContent {
		t.Error(code)
	}
	v.write("nonsense = true")
	if _, text := v.call("GET", api.Prefix+"/health", token, nil); !strings.Contains(text, `"loaded":"2`) || strings.Contains(text, "reload_failed") {
		t.Error(text)
	}
	if code, text := v.call("POST", api.Prefix+"/configuration/reload", token, nil); code != http.StatusUnprocessableEntity || !strings.Contains(text, "nonsense") {
		t.Error(code, text)
	}
	if _, text := v.call("GET", api.Prefix+"/health", token, nil); !strings.Contains(text, `"reload_failed":"2`) {
		t.Error(text)
	}
	entries, err = v.access.Audit(t.Context(), access.AuditQuery{Limit: 1})
	if err != nil || entries[0].Action != "configuration.reload" || entries[0].Failed == "" {
		t.Errorf("%+v, %v", entries, err)
	}
	// It is searched in the same way by the API and on its page.
	if code, text := v.call("GET", api.Prefix+"/audit?who=operator&what="+second, token, nil); code != http.StatusOK || strings.Count(text, `"action"`) != 1 || !strings.Contains(text, "held.return") {
		t.Error(code, text)
	}
	secret, _ = v.session(access.Administrator)
	if _, text := v.ask(v.request("/audit?who=operator&what="+second, secret, nil)); strings.Count(text, "<code>held.re") != 1 || !strings.Contains(text, `value="operator"`) {
		t.Error(text)
	}
	if _, text := v.ask(v.request("/audit?until=2000-01-01", secret, nil)); strings.Contains(text, "<code>held.") || !strings.Contains(text, "Nothing found.") {
		t.Error(text)
	}
	if _, broken, err := v.access.VerifyAudit(t.Context(), access.AuditPoint{}); err != nil || broken != 0 {
		t.Errorf("broken at %d, %v", broken, err)
	}
	// Each operation that shows something shows it.
	for _, path := range []string{"/me", "/health", "/directories", "/revocation", "/expiries", "/queue", "/held", "/certificates", "/identities", "/expiring", "/authorities", "/configuration", "/accounts", "/tokens", "/audit", "/openapi.json"} {
		if code, text := v.call("GET", api.Prefix+path, token, nil); code != http.StatusOK || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	for path, body := range map[string]any{
		"/explain":             map[string]any{"from": "a@example.org", "to": []string{"b@example.net"}},
		"/explain/message":     map[string]any{"from": "a@example.org", "to": []string{"b@example.net"}, "message": "From: a@example.org\r\n\r\nHello.\r\n"},
		"/lookup":              map[string]string{"address": "b@example.net"},
		"/policy/test":         map[string]string{"cases": "[[case]]\nname = \"x\"\nfrom = \"a@example.org\"\nto = [\"b@example.net\"]\nexpect = { \"b@example.net\" = \"held\" }\n"},
		"/configuration/check": map[string]string{"text": "nonsense = true"},
	} {
		if code, text := v.call("POST", api.Prefix+path, token, body); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := v.call("GET", api.Prefix+"/queue?nonsense=1", token, nil); code != http.StatusUnprocessableEntity || !strings.Contains(text, `"status":422`) {
		t.Errorf("%d %s", code, text)
	}
}

// TestOpenAPIHasEveryOperation: the description names each operation, with what it needs.
func TestOpenAPIHasEveryOperation(t *testing.T) {
	v := startConsole(t)
	_, text := v.call("GET", api.Prefix+"/openapi.json", "", nil)
	var doc struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%q, %v", doc.OpenAPI, err)
	}
	for _, r := range allRoutes() {
		if !strings.HasPrefix(r.Path, api.Prefix) {
			continue
		}
		op := string(doc.Paths[r.Path][strings.ToLower(r.Method)])
		if !strings.Contains(op, `"token"`) || !strings.Contains(op, string(r.Role)) {
			t.Errorf("%s %s: %s", r.Method, r.Path, op)
		}
	}
}

// TestConsoleSpeaksHTTPS: with a certificate the console speaks nothing else, and its cookie is
// for HTTPS alone.
func TestConsoleSpeaksHTTPS(t *testing.T) {
	ca, dir := newTLSCA(t), t.TempDir()
	ca.write(filepath.Join(dir, "gw.pem"), ca.server("gw.example.org"))
	key := fmt.Sprintf("[console]\ntls_certificate = %q\ntls_key = %q\n", filepath.Join(dir, "gw.pem"), filepath.Join(dir, "gw.pem"))
	w := startWorld(t, strings.Replace(withConsole, "[console]\n", key, 1))
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "gw.example.org"}}
	v := &visitors{world: w, url: "https://" + w.address("[console]"), client: &http.Client{Transport: transport, Timeout: patience}}
	answer, text := v.ask(v.request("/sign-in", "", nil))
	if answer.StatusCode != http.StatusOK || !strings.Contains(text, "</html>") || answer.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d, %v", answer.StatusCode, answer.Header)
	}
	a, err := access.Open(t.Context(), access.Config{Path: filepath.Join(v.dir, "console.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.AddUser(t.Context(), operatorOf("test"), "alice", access.Viewer, consolePassword), a.Close()); err != nil {
		t.Fatal(err)
	}
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, _ = v.ask(v.request("/sign-in", "", url.Values{"name": {"alice"}, "password": {consolePassword}}))
	if c := answer.Cookies(); len(c) != 2 || !c[0].Secure || c[0].Name != "__Host-smimerelay" || !c[1].Secure || !strings.HasPrefix(c[1].Name, "__Host-") {
		t.Errorf("%d, %+v", answer.StatusCode, c)
	}
	v.url = strings.Replace(v.url, "https", "http", 1)
	if answer, _ := v.ask(v.request("/sign-in", "", nil)); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %d", answer.StatusCode)
	}
}
