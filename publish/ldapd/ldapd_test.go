package ldapd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/publish"
)

// outlook is the filter of Outlook's address book, iOS that of Contacts.
const (
	outlook = "(&(mail=*)(|(mail=%[1]s*)(|(cn=%[1]s*)(|(sn=%[1]s*)(givenName=%[1]s*)))))"
	mobile  = "(|(mail=%[1]s)(proxyAddresses=smtp:%[1]s))"
	apple   = "(&(objectClass=inetOrgPerson)(|(cn=%[1]s*)(sn=%[1]s*)(mail=%[1]s*)(displayName=*%[1]s*)))"
	bird    = "(|(mail=*%[1]s*)(|(cn=*%[1]s*)(sn=*%[1]s*)))"
)

// TestStrangers: who names one published address in full gets it, in the way that programs
// ask, and there is no other way to anything.
func TestStrangers(t *testing.T) {
	w := start(t, NoTLS)
	c := w.dial()
	for _, form := range []string{outlook, mobile, apple, "(mail=%s)", "(&(objectCategory=person)(mail=%s))", "(rfc822Mailbox=%s)"} {
		for address, want := range map[string]string{"alice@example.org": "[alice@example.org]", "ALICE@Example.ORG": "[alice@example.org]",
			"hidden@example.org": "[]", "absent@example.org": "[]", "carol@partner.example": "[]", "unknown@partner.example": "[]"} {
			filter := fmt.Sprintf(form, address)
			if list, code := search(t, c, "ou=certificates", ldap.ScopeWholeSubtree, filter); code != 0 || fmt.Sprint(list) != want {
				t.Errorf("%s: %v, code %d; want %s", filter, list, code, want)
			}
		}
	}
	for _, filter := range []string{
		"(objectClass=*)", "(mail=*)", "(mail=a*)", "(mail=alice*)", "(mail=alice@example.o*)", "(mail=*@example.org)", "(mail=*alice@example.org)", "(mail=al*@example.org)",
		"(cn=Alice Example)", "(!(mail=absent@example.org))", "(&(mail=alice@example.org)(mail=bob@example.org))", "(mail>=alice@example.org)",
		"(&(mail=alice@example.org)(unheard=x))", "(&(mail=alice@example.org)(!(unheard=x)))", fmt.Sprintf(bird, "alice@example.org"),
		"(mail:caseIgnoreMatch:=alice@example.org)",
	} {
		if list, code := search(t, c, "ou=certificates", ldap.ScopeWholeSubtree, filter); code != 0 || len(list) > 0 {
			t.Errorf("%s: %v, code %d", filter, list, code)
		}
	}
	if list, _ := search(t, c, "", ldap.ScopeWholeSubtree, "(|(mail=alice@example.org)(objectClass=*)(cn=*))"); fmt.Sprint(list) != "[alice@example.org]" {
		t.Errorf("beside one address: %v", list)
	}
	if _, code := search(t, c, "", ldap.ScopeWholeSubtree, "(|"+strings.Repeat("(mail=alice@example.org)", 20)+"(mail=a@b)(mail=b@b)(mail=c@b)(mail=d@b)(mail=e@b))"); code != ldap.LDAPResultUnwillingToPerform {
		t.Errorf("six addresses: code %d", code)
	}
	if list, code := search(t, c, "ou=certificates", ldap.ScopeWholeSubtree, "(mail=doubtful@example.org)"); code != ldap.LDAPResultUnavailable || len(list) > 0 {
		t.Errorf("a certificate that cannot be judged now: %v, code %d", list, code)
	}
	if len(w.others.asked) > 0 {
		t.Errorf("strangers had partners looked up: %v", w.others.asked)
	}
}

// TestBases: the name of an entry is a way to it, a wrong one is an error.
func TestBases(t *testing.T) {
	w := start(t, NoTLS)
	c := w.dial()
	for _, s := range []struct {
		base  string
		scope int
		want  string
		code  uint16
	}{
		{"mail=alice@example.org,ou=certificates", ldap.ScopeBaseObject, "[alice@example.org]", 0},
		{"MAIL=Alice@example.org, OU=Certificates", ldap.ScopeWholeSubtree, "[alice@example.org]", 0},
		{"mail=absent@example.org,ou=certificates", ldap.ScopeBaseObject, "[]", 0},
		{"cn=alice@example.org,ou=certificates", ldap.ScopeBaseObject, "[]", ldap.LDAPResultNoSuchObject},
		{"ou=elsewhere", ldap.ScopeWholeSubtree, "[]", ldap.LDAPResultNoSuchObject},
		{"x", ldap.ScopeWholeSubtree, "[]", ldap.LDAPResultInvalidDNSyntax},
		{"ou=certificates", ldap.ScopeSingleLevel, "[]", 0},
	} {
		if list, code := search(t, c, s.base, s.scope, "(objectClass=*)"); code != s.code || fmt.Sprint(list) != s.want {
			t.Errorf("%s: %v, code %d; want %s, %d", s.base, list, code, s.want, s.code)
		}
	}
	for base, want := range map[string]string{"": "namingContexts", "cn=Subschema": "attributeTypes", "ou=certificates": "ou"} {
		r, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"*", "+"}, nil))
		if err != nil || len(r.Entries) != 1 || len(r.Entries[0].GetAttributeValues(want)) == 0 {
			t.Errorf("%q: %v", base, err)
		}
	}
	r, err := c.Search(ldap.NewSearchRequest("mail=alice@example.org,ou=certificates", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"userCertificate", "USERSMIMECertificate;binary"}, nil))
	if err != nil || len(r.Entries) != 1 {
		t.Fatal(err)
	}
	alice := w.certs["alice@example.org"]
	if got := r.Entries[0].GetRawAttributeValue("userCertificate"); !bytes.Equal(got, alice.Raw) {
		t.Errorf("userCertificate has %d octets", len(got))
	}
	list, err := file.ParseCertificates(r.Entries[0].GetRawAttributeValue("userSMIMECertificate;binary"))
	if err != nil || len(list) != 1 || !list[0].Equal(alice) {
		t.Errorf("userSMIMECertificate: %d, %v", len(list), err)
	}
	if len(r.Entries[0].Attributes) != 2 {
		t.Errorf("%d attributes", len(r.Entries[0].Attributes))
	}
}

// TestInsiders: clients in named networks, and those who bind, search, and find partners.
func TestInsiders(t *testing.T) {
	w := start(t, NoTLS)
	bound := w.dial()
	if err := bound.Bind("CN=reader", "secret"); err != nil {
		t.Fatal(err)
	}
	stranger := w.dial()
	named := w.dial()
	for _, s := range []struct{ filter, want string }{
		{fmt.Sprintf(outlook, "al"), "[alice@example.org]"},
		{fmt.Sprintf(bird, "example"), "[alice@example.org bob@example.org]"},
		{"(cn=bob ex*)", "[bob@example.org]"},
		{"(mail=hidden@example.org)", "[]"},
		{"(mail=carol@partner.example)", "[carol@partner.example]"},
		{fmt.Sprintf(outlook, "car"), "[carol@partner.example]"},
		{"(!(mail=bob@example.org))", "[alice@example.org]"},
		{"(!(unheard=x))", "[]"},
	} {
		if list, code := search(t, bound, "", ldap.ScopeWholeSubtree, s.filter); code != 0 || fmt.Sprint(list) != s.want {
			t.Errorf("%s: %v, code %d; want %s", s.filter, list, code, s.want)
		}
	}
	if slices.Contains(w.others.asked, "hidden@example.org") {
		t.Error("a local address that is not published was looked up")
	}
	if _, code := search(t, bound, "", ldap.ScopeWholeSubtree, "(mail=unknown@partner.example)"); code != ldap.LDAPResultUnavailable {
		t.Errorf("not known: code %d", code)
	}
	w.set(insiders)
	if list, _ := search(t, named, "", ldap.ScopeWholeSubtree, "(mail=*)"); len(list) != 2 {
		t.Errorf("in a network: %v", list)
	}
	w.set(func(p *Published) { p.SizeLimit = 1 })
	if list, code := search(t, named, "", ldap.ScopeWholeSubtree, "(mail=*)"); len(list) != 1 || code != ldap.LDAPResultSizeLimitExceeded {
		t.Errorf("over the limit: %v, code %d", list, code)
	}
	w.set(func(p *Published) { p.Networks = nil })
	if list, _ := search(t, stranger, "", ldap.ScopeWholeSubtree, "(mail=*)"); len(list) != 0 {
		t.Errorf("a stranger: %v", list)
	}
	for name, want := range map[[2]string]uint16{
		{"cn=reader", "wrong"}: ldap.LDAPResultInvalidCredentials, {"cn=other", "secret"}: ldap.LDAPResultInvalidCredentials, {"", ""}: 0,
	} {
		if err := stranger.UnauthenticatedBind(""); err != nil {
			t.Error(err)
		}
		_, err := stranger.SimpleBind(&ldap.SimpleBindRequest{Username: name[0], Password: name[1], AllowEmptyPassword: true})
		if code := codeOf(err); code != want {
			t.Errorf("%v: code %d, want %d", name, code, want)
		}
	}
	if err := bound.Bind("cn=reader", "wrong"); err == nil {
		t.Error("a wrong password binds")
	}
	if list, _ := search(t, bound, "", ldap.ScopeWholeSubtree, "(mail=*)"); len(list) != 0 {
		t.Errorf("the rights of an earlier bind last: %v", list)
	}
	if err := stranger.UnauthenticatedBind("cn=reader"); codeOf(err) != ldap.LDAPResultUnwillingToPerform {
		t.Errorf("a bind without a password: %v", err)
	}
	if err := stranger.ExternalBind(); codeOf(err) != ldap.LDAPResultAuthMethodNotSupported {
		t.Errorf("SASL: %v", err)
	}
}

func codeOf(err error) uint16 {
	for code := range uint16(100) {
		if ldap.IsErrorWithCode(err, code) {
			return code
		}
	}
	return 0
}

// TestReadOnly: nothing is changed, and what is not served is refused.
func TestReadOnly(t *testing.T) {
	w := start(t, NoTLS)
	c := w.dial()
	const dn = "mail=alice@example.org,ou=certificates"
	modify := ldap.NewModifyRequest(dn, nil)
	modify.Replace("mail", []string{"x@example.org"})
	add := ldap.NewAddRequest(dn, nil)
	add.Attribute("mail", []string{"x"})
	_, compare := c.Compare(dn, "mail", "x")
	for name, err := range map[string]error{
		"modify": c.Modify(modify), "add": c.Add(add), "delete": c.Del(ldap.NewDelRequest(dn, nil)),
		"rename": c.ModifyDN(ldap.NewModifyDNRequest(dn, "mail=x", true, "")), "compare": compare,
	} {
		if codeOf(err) != ldap.LDAPResultUnwillingToPerform {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.PasswordModify(ldap.NewPasswordModifyRequest("", "a", "b")); codeOf(err) != ldap.LDAPResultProtocolError {
		t.Errorf("an extended request: %v", err)
	}
	paging := ldap.NewControlString(ldap.ControlTypePaging, true, "")
	_, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeWholeSubtree, 0, 0, 0, false, "(mail=alice@example.org)", nil, []ldap.Control{paging}))
	if codeOf(err) != ldap.LDAPResultUnavailableCriticalExtension {
		t.Errorf("a critical control: %v", err)
	}
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("TLS without a certificate")
	}
}

// TestStartTLS: before it nothing is answered but the root, and what was sent before does
// not count after it.
func TestStartTLS(t *testing.T) {
	w := start(t, StartTLS)
	c := w.dial()
	if _, code := search(t, c, "", ldap.ScopeWholeSubtree, "(mail=alice@example.org)"); code != ldap.LDAPResultConfidentialityRequired {
		t.Errorf("in the clear: code %d", code)
	}
	if _, code := search(t, c, "", ldap.ScopeBaseObject, "(objectClass=*)"); code != 0 {
		t.Errorf("the root: code %d", code)
	}
	if err := c.Bind("cn=reader", "secret"); codeOf(err) != ldap.LDAPResultConfidentialityRequired {
		t.Errorf("a password in the clear: %v", err)
	}
	if err := c.StartTLS(&tls.Config{RootCAs: w.roots, ServerName: "localhost"}); err != nil {
		t.Fatal(err)
	}
	if list, code := search(t, c, "", ldap.ScopeWholeSubtree, "(mail=alice@example.org)"); code != 0 || len(list) != 1 {
		t.Errorf("by TLS: %v, code %d", list, code)
	}
	if err := c.Bind("cn=reader", "secret"); err != nil {
		t.Error(err)
	}

	// An attacker puts a request behind that for TLS.
	raw := testpki.Must(net.Dial("tcp", w.address))
	defer raw.Close()
	startTLS := tlv(0x30, "\x02\x01\x01"+tlv(0x77, tlv(0x80, oidStartTLS)))
	if _, err := io.WriteString(raw, startTLS+startTLS); err != nil {
		t.Fatal(err)
	}
	answer := testpki.Must(io.ReadAll(raw))
	if !bytes.Contains(answer, []byte("TLS cannot be started")) {
		t.Errorf("%q", answer)
	}
}

func tlv(tag byte, contents string) string {
	n := len(contents)
	if n < 0x80 {
		return string([]byte{tag, byte(n)}) + contents
	}
	return string([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + contents
}

// TestRate: questions of strangers are limited, those of insiders are not.
func TestRate(t *testing.T) {
	w := start(t, NoTLS)
	w.set(func(p *Published) { p.PerMinute = 3 })
	c := w.dial()
	var codes []uint16
	for range 4 {
		_, code := search(t, c, "", ldap.ScopeWholeSubtree, "(mail=absent@example.org)")
		codes = append(codes, code)
	}
	if fmt.Sprint(codes) != "[0 0 0 51]" {
		t.Error(codes)
	}
	if err := c.Bind("cn=reader", "secret"); codeOf(err) != ldap.LDAPResultBusy {
		t.Errorf("passwords can be tried without a limit: %v", err)
	}
	w.set(insiders)
	if _, code := search(t, c, "", ldap.ScopeWholeSubtree, "(mail=alice@example.org)"); code != 0 {
		t.Errorf("an insider: code %d", code)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts[resultNone] != 3 || w.counts[resultLimited] != 1 || w.counts[resultFound] != 1 {
		t.Error(w.counts)
	}
}

// TestConnections: a client has so many and no more.
func TestConnections(t *testing.T) {
	w := start(t, NoTLS)
	for i := range publish.MaxPerClient + 1 {
		c := w.dial()
		_, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil, nil))
		if good := i < publish.MaxPerClient; good != (err == nil) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// TestLdapsearch: the client of OpenLDAP reads what is served, by both ways to TLS.
func TestLdapsearch(t *testing.T) {
	for mode, args := range map[TLSMode][]string{Implicit: {"-H", "ldaps://%s"}, StartTLS: {"-ZZ", "-H", "ldap://%s"}} {
		w := start(t, mode)
		args[len(args)-1] = fmt.Sprintf(args[len(args)-1], w.address)
		args = append(args, "-x", "-LLL", "-b", "ou=certificates", "(mail=alice@example.org)", "mail", "userCertificate;binary", "userSMIMECertificate;binary")
		cmd := exec.CommandContext(t.Context(), "ldapsearch", args...)
		cmd.Env = append(cmd.Environ(), "LDAPTLS_CACERT="+w.trusted, "LDAPTLS_REQCERT=demand")
		out, err := cmd.CombinedOutput()
		text := string(out)
		for _, want := range []string{"dn: mail=alice@example.org,ou=certificates", "\nmail: alice@example.org", "\nuserCertificate;binary:: ", "\nuserSMIMECertificate;binary:: "} {
			if err != nil || !strings.Contains(text, want) {
				t.Errorf("%v: %q is missing: %s", err, want, text)
			}
		}
	}
}

// TestHostile: whatever comes ends the connection, or is answered; the server goes on.
func TestHostile(t *testing.T) {
	w := start(t, NoTLS)
	for name, s := range map[string]string{
		"HTTP":            "GET / HTTP/1.1\r\n\r\n",
		"2 GiB":           "\x30\x84\x7f\xff\xff\xff",
		"over the limit":  tlv(0x30, "\x02\x01\x01"+tlv(0x42, strings.Repeat("x", limits.Octets))),
		"deep filter":     message(deep(limits.Depth + 1)),
		"deep enough":     message(deep(limits.Depth - 4)),
		"no operation":    tlv(0x30, "\x02\x01\x01"),
		"id 0":            tlv(0x30, "\x02\x01\x00\x42\x00"),
		"id too large":    tlv(0x30, "\x02\x05\x01\x00\x00\x00\x00\x42\x00"),
		"unknown request": tlv(0x30, "\x02\x01\x01\x7e\x00"),
		"empty bind":      tlv(0x30, "\x02\x01\x01\x60\x00"),
		"empty search":    tlv(0x30, "\x02\x01\x01\x63\x00"),
		"empty extended":  tlv(0x30, "\x02\x01\x01\x77\x00"),
		"no filter":       message("\xa3\x00"),
		"not of nothing":  message("\xa2\x00"),
		"no substrings":   message(tlv(0xa4, "\x04\x04mail\x30\x00")),
	} {
		c := testpki.Must(net.Dial("tcp", w.address)).(*net.TCPConn)
		if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// The server may end the connection before all of it was sent: a reset is an answer too.
		_, _ = io.WriteString(c, s)
		_ = c.CloseWrite()
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s: the connection stays open", name)
		}
		c.Close()
	}
	if list, code := search(t, w.dial(), "", ldap.ScopeWholeSubtree, "(mail=alice@example.org)"); code != 0 || len(list) != 1 {
		t.Errorf("%v, code %d", list, code)
	}
}

// message is a search with a filter.
func message(filter string) string {
	return tlv(0x30, "\x02\x01\x01"+tlv(0x63, "\x04\x00\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00"+filter+"\x30\x00"))
}

func deep(n int) string {
	s := tlv(0x87, "mail")
	for range n {
		s = tlv(0xa2, s)
	}
	return s
}

// FuzzRequest: no request makes the server panic.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{message(tlv(0x87, "mail")), message(deep(3)), message(tlv(0xa3, "\x04\x04mail\x04\x11alice@example.org")),
		message(tlv(0xa4, "\x04\x04mail\x30\x03\x80\x01a")), tlv(0x30, "\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"),
		tlv(0x30, "\x02\x01\x01"+tlv(0x77, tlv(0x80, oidStartTLS)))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		message, err := limits.Read(bufio.NewReader(bytes.NewReader(data)), nil)
		if err != nil {
			return
		}
		r, err := parse(message)
		if err != nil {
			return
		}
		if s, err := parseSearch(r.op); err == nil {
			e := root("ou=certificates", true)
			s.filter.matches(e)
			s.filter.addresses(nil)
			s.filter.beginnings(nil)
			entryReply(e, s)
		}
		_, _ = parseBind(r.op)
	})
}
