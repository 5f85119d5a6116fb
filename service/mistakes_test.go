package service

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestListenTrouble: each reason for which a listener cannot be opened has a remedy.
func TestListenTrouble(t *testing.T) {
	for _, c := range []struct {
		address string
		err     error
		want    string
	}{
		{"0.0.0.0:25", os.NewSyscallError("bind", syscall.EACCES), "permission denied: ports below 1024 need a privilege; choose a port"},
		{"192.0.2.1:2525", os.NewSyscallError("bind", syscall.EADDRNOTAVAIL), "cannot assign requested address; write an address of this host"},
		{"unix:/run/x/in.sock", os.NewSyscallError("bind", syscall.EACCES), `no socket may be made in the folder "/run/x": permission denied; have it belong to the user`},
		{"unix:/var/spool/postfix/x/milter", os.NewSyscallError("bind", syscall.EROFS), "read-only file system; mount it writable, set ReadWritePaths=/var/spool/postfix/x in the unit"},
		{"unix:/run/smimerelay/in.sock", os.NewSyscallError("bind", syscall.ENOENT), "does not exist; systemctl start smimerelay creates it; without systemd: install -d"},
		{"mail.invalid:25", &net.OpError{Op: "listen", Err: &net.DNSError{Err: "no such host", Name: "mail.invalid"}}, "lookup mail.invalid: no such host; correct the address"},
	} {
		if got := listenTrouble(c.address, c.err); !strings.Contains(got.Error(), c.want) || !errors.Is(got, c.err) {
			t.Errorf("%s: %q, want %q", c.address, got, c.want)
		}
	}
}

// TestHolder: who listens is named, at a port and at a path, and a check does not take what the
// gateway has for a mistake.
func TestHolder(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	for network, at := range map[string]string{"tcp": "127.0.0.1:0", "unix": socket} {
		l, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		name := l.Addr().String()
		if network == "unix" {
			name = "unix:" + name
		} else if err := tryListen(name); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s seems free: %v", name, err)
		}
		h, ok := holderOf(name)
		if !ok || h.pid != os.Getpid() || !h.mine() {
			t.Errorf("%s is held by %v, %t", name, h, ok)
		}
		if l.Close() != nil || network == "tcp" && tryListen(name) != nil {
			t.Errorf("%s is not free afterwards", name)
		}
		if h, ok := holderOf(name); ok {
			t.Errorf("%s is held by %v", name, h)
		}
	}
}

// TestTryListen: an address is found free in whatever form it is written, and in use while a
// listener has it, as net.Listen finds it.
func TestTryListen(t *testing.T) {
	free, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"", "0.0.0.0", "[::]", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::1%lo]", "localhost", "[::1%none]"} {
		address := host + ":" + port
		before := tryListen(address)
		l, err := net.Listen("tcp", address)
		if (before == nil) != (err == nil) {
			t.Errorf("%s: %v, and to listen there: %v", address, before, err)
		}
		if err != nil {
			continue // this machine has no such address
		}
		if err := tryListen(address); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s seems free: %v", address, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUnlistenable: a check names the listeners that serve could not open.
func TestUnlistenable(t *testing.T) {
	dir := t.TempDir()
	p := &Parts{Config: &config.Config{Listeners: []config.Listener{
		{Address: "127.0.0.1:0"}, {Address: "unix:" + dir + "/in.sock"}, {Address: "systemd:in"},
		{Address: "unix:" + dir + "/no/in.sock"}, {Address: "192.0.2.1:2525"},
	}, Admin: config.Admin{Address: "unix:" + dir}}}
	var keys []string
	for _, w := range p.unlistenable() {
		keys = append(keys, w.Key)
		if w.Remedy == "" {
			t.Errorf("no remedy: %s", w)
		}
	}
	if want := []string{"listener[3].address", "listener[4].address", "admin.address"}; !slices.Equal(keys, want) {
		t.Errorf("%q instead of %q", keys, want)
	}
}

// TestStoreTrouble: an error of the store names the option that it is about.
func TestStoreTrouble(t *testing.T) {
	dir := t.TempDir()
	folder := &fs.PathError{Op: "open", Path: dir + "/store.db", Err: syscall.ENOENT}
	for name, c := range map[string]struct {
		place  config.Store
		err    error
		option string
		remedy string
	}{
		"another key":   {config.Store{URL: dir + "/store.db"}, store.ErrWrongKey, "key_file", "restore the key file of this store"},
		"no key":        {config.Store{URL: dir + "/store.db"}, &MissingKeyError{"k", 2}, "key_file", "restore the key file of this store"},
		"not a key":     {config.Store{URL: dir + "/store.db"}, &store.KeyFileError{Path: "k", Cause: store.ErrNotKey}, "key_file", "restore it from a copy; for a store without private keys"},
		"key not ours":  {config.Store{URL: dir + "/store.db"}, &store.KeyFileError{Path: "k", Cause: fs.ErrPermission}, "key_file", "run the command as root"},
		"no folder":     {config.Store{URL: dir + "/store.db"}, folder, "url", "install -d -o smimerelay -g smimerelay -m 0700 " + dir},
		"read-only":     {config.Store{URL: dir + "/store.db"}, &fs.PathError{Err: syscall.EROFS}, "url", "mount it writable, set ReadWritePaths=" + dir},
		"not ours":      {config.Store{URL: dir + "/store.db"}, fs.ErrPermission, "url", "as the user of the gateway"},
		"open":          {config.Store{URL: dir + "/store.db"}, syscall.EAGAIN, "url", "stop the gateway"},
		"full":          {config.Store{URL: dir + "/store.db"}, syscall.ENOSPC, "url", "free space"},
		"other":         {config.Store{URL: dir + "/store.db"}, errors.New("file is not a database"), "url", "restore this one from a backup"},
		"server down":   {config.Store{URL: "postgres://gw@db/x"}, syscall.ECONNREFUSED, "url", "start PostgreSQL there"},
		"no password":   {config.Store{URL: "postgres://gw@db/x", PasswordFile: "/no/password"}, errors.New("x"), "password_file", "check the path"},
		"other trouble": {config.Store{URL: "postgres://gw@db/x"}, errors.New("x"), "url", "check that the database is available"},
	} {
		if got := StoreTrouble(c.place, c.err); got.Key != "store."+c.option || !strings.Contains(got.Remedy, c.remedy) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestUnstorable: where nothing can be stored is reported, each folder once.
func TestUnstorable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		store, queue string
		want         []string
	}{
		"both there":   {dir + "/store.db", dir + "/queue.db", nil},
		"in memory":    {"", dir + "/queue.db", nil},
		"no folder":    {dir + "/no/store.db", dir + "/no/queue.db", []string{"store.url"}},
		"no folders":   {dir + "/no/store.db", dir + "/neither/queue.db", []string{"store.url", "queue.path"}},
		"in a file":    {file + "/store.db", dir + "/queue.db", []string{"store.url"}},
		"PostgreSQL":   {"postgres://gw@db/x", dir + "/no/queue.db", nil},
		"only a queue": {dir + "/store.db", file + "/a/queue.db", []string{"queue.path"}},
	} {
		c2 := &config.Config{Store: config.Store{URL: c.store}, Queue: config.Queue{Path: c.queue}, Listeners: []config.Listener{{Protocol: "smtp"}}}
		var keys []string
		for _, w := range (&Parts{Config: c2}).Unstorable() {
			keys = append(keys, w.Key)
			if w.Remedy == "" {
				t.Errorf("no remedy: %s", w)
			}
		}
		if !slices.Equal(keys, c.want) {
			t.Errorf("%s: %q instead of %q", name, keys, c.want)
		}
	}
}

// TestUnsigned: a rule that signs for those of whom no one has an identity is reported.
func TestUnsigned(t *testing.T) {
	list := func(s ...string) []string { return s }
	h := Holdings{Signing: map[string]bool{"a.example": true, "alice@a.example": true, "gw@a.example": true}}
	for name, c := range map[string]struct {
		domains []string
		rule    config.Rule
		order   []config.Enrolment
		before  []config.Rule
		want    string // "" for no warning
	}{
		"all have one":        {domains: list("a.example"), rule: config.Rule{Sign: "require"}},
		"never signs":         {domains: list("b.example"), rule: config.Rule{Sign: "never"}},
		"inbound":             {domains: list("b.example"), rule: config.Rule{Sign: "require", Direction: "inbound"}},
		"issues":              {domains: list("b.example"), rule: config.Rule{Sign: "require", Issue: true}},
		"required":            {domains: list("a.example", "b.example"), rule: config.Rule{Sign: "require"}, want: "no identity for b.example: mail from there is deferred"},
		"preferred":           {domains: list("B.example"), rule: config.Rule{Sign: "prefer"}, want: "no identity for B.example: mail from there is sent unsigned"},
		"subdomains":          {domains: list(".b.example"), rule: config.Rule{Sign: "require"}},
		"ordered":             {domains: list("b.example"), rule: config.Rule{Sign: "require"}, order: []config.Enrolment{{On: "always", Addresses: list("x@b.example")}}},
		"a sender":            {domains: list("a.example"), rule: config.Rule{Sign: "require", Sender: list("alice@A.example")}},
		"another sender":      {domains: list("a.example"), rule: config.Rule{Sign: "require", Sender: list("bob@a.example")}, want: "for bob@a.example:"},
		"sender elsewhere":    {domains: list("a.example"), rule: config.Rule{Sign: "require", Sender: list("bob@c.example", "*@a.example")}},
		"one signs for all":   {domains: list("b.example"), rule: config.Rule{Sign: "require", Identity: "gw@a.example"}},
		"no one signs":        {domains: list("a.example"), rule: config.Rule{Sign: "require", Identity: "x@a.example"}, want: "for x@a.example:"},
		"fallback":            {domains: list("b.example"), rule: config.Rule{Sign: "require", DomainIdentity: "gw@a.example"}},
		"no domain signature": {domains: list("a.example"), rule: config.Rule{Sign: "require", Identity: "domain"}, want: "for domain-signing-authority@a.example:"},
		"excepted":            {domains: list("a.example", "b.example"), rule: config.Rule{Sign: "require", ExceptSender: list("b.example")}},
		"an author excepted":  {domains: list("b.example"), rule: config.Rule{Sign: "require", ExceptFrom: list("*@b.example")}},
		"other authors":       {domains: list("b.example"), rule: config.Rule{Sign: "require", From: list("a.example")}},
		"these authors":       {domains: list("b.example"), rule: config.Rule{Sign: "require", From: list("x@b.example")}, want: "for b.example:"},
		"an address excepted": {domains: list("b.example"), rule: config.Rule{Sign: "require", ExceptSender: list("x@b.example")}, want: "for b.example:"},
		"a group":             {domains: list("b.example"), rule: config.Rule{Sign: "require", SenderGroup: list("signers@a.example")}},
		"decided before":      {domains: list("b.example"), rule: config.Rule{Sign: "require"}, before: []config.Rule{{Sender: list("B.example"), Recipient: list("*"), Direction: "outbound"}}},
		"an address before":   {domains: list("a.example"), rule: config.Rule{Sign: "require", Sender: list("x@a.example", "y@a.example")}, before: []config.Rule{{Sender: list("x@a.example")}}, want: "for y@a.example:"},
		"some mail before":    {domains: list("b.example"), rule: config.Rule{Sign: "require"}, before: []config.Rule{{Sender: list("b.example"), Header: list("X")}}, want: "for b.example:"},
		"large mail before":   {domains: list("b.example"), rule: config.Rule{Sign: "require"}, before: []config.Rule{{Sender: list("b.example"), LargerThan: 1}}, want: "for b.example:"},
		"inbound before":      {domains: list("b.example"), rule: config.Rule{Sign: "require"}, before: []config.Rule{{Sender: list("b.example"), Direction: "inbound"}}, want: "for b.example:"},
		"many":                {domains: list("b.example", "c.example", "d.example", "e.example"), rule: config.Rule{Sign: "require"}, want: "for b.example, c.example, d.example and 1 more:"},
	} {
		p := &Parts{
			Config:  &config.Config{Rules: append(c.before, c.rule), Enrolments: c.order},
			Gateway: &gateway.Gateway{Config: gateway.Config{Domains: c.domains}},
			store:   &sharedStore{place: storePlace{localPart: address.IgnoreCase}},
		}
		got := p.unsigned(h).Error()
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || got != "" && !strings.Contains(got, "smimerelay cert issue") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestPlaceholders: names of the documentation are reported, whatever file has them.
func TestPlaceholders(t *testing.T) {
	text := `hostname = "gw.example.org"
domains = ["corp.test", "example.org", "notexample.org"]
[next_hop]
address = "mail.partner.example:25"
[[listener]]
name = "in"
protocol = "lmtp"
address = "127.0.0.1:1"
next_hop = "mail.example.com:24"
[[route]]
name = "x"
to = ["mail.corp.test:25", "mail.example.net:25"]
`
	c, _ := config.Parse("/srv/gateway.toml", []byte(text))
	var keys []string
	for _, w := range placeholders(c) {
		keys = append(keys, w.Key)
	}
	if want := []string{"hostname", "domains[1]", "next_hop.address", "route[0].to[1]", "listener[0].next_hop"}; !slices.Equal(keys, want) {
		t.Errorf("%q instead of %q", keys, want)
	}
	for path, trial := range map[string]bool{config.File: false, "/srv/gateway.toml": true} {
		if c, _ := config.Parse(path, []byte(text)); c.IsTrial() != trial {
			t.Errorf("%s: trial %t", path, !trial)
		}
	}
}

// TestPrivileged: ports that the service may not open are reported, unless it has them already.
func TestPrivileged(t *testing.T) {
	mine, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	c := &config.Config{Listeners: []config.Listener{
		{Address: ":465"}, {Address: "[::1]:1024"}, {Address: "127.0.0.1:0"}, {Address: "unix:/run/x"}, {Address: "systemd:in"}, {Address: mine.Addr().String()},
	}, Admin: config.Admin{Address: "127.0.0.1:1023"}}
	var keys []string
	for _, w := range privileged(c, 1024) {
		keys = append(keys, w.Key)
		if !strings.Contains(w.Remedy, "systemd:NAME") {
			t.Errorf("%s", w)
		}
	}
	if want := []string{"listener[0].address", "admin.address"}; !slices.Equal(keys, want) {
		t.Errorf("%q instead of %q", keys, want)
	}
	if ws := privileged(&config.Config{Listeners: c.Listeners[5:]}, 1<<16); len(ws) > 0 {
		t.Errorf("a port that the gateway has: %v", ws)
	}
	folder := t.TempDir()
	if hasCapability(folder) || hasCapability(folder+"/none") {
		t.Error("a unit without an override has a capability")
	}
	if err := os.WriteFile(folder+"/ports.conf", []byte("[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !hasCapability(folder) {
		t.Error("an override is not found")
	}
}

// TestOddPorts: where TLS is expected from the first octet on, and where it is not.
func TestOddPorts(t *testing.T) {
	text := `hostname = "gw.corp.test"
[next_hop]
address = "relay.corp.test:465"
[[route]]
name = "a"
to = ["a.corp.test:587", "b.corp.test:465"]
[[route]]
name = "b"
to = ["b.corp.test:465"]
tls = "require"
implicit_tls = true
[[directory]]
name = "ad"
type = "ldap"
urls = ["ldap://dc.corp.test:636", "ldaps://dc.corp.test:389/dc=x", "ldap://dc.corp.test:389", "ldaps://dc.corp.test:636", "dc.corp.test:636", "ldap://dc.corp.test"]
base = "dc=x"
`
	c, _ := config.Parse("x.toml", []byte(text))
	var keys []string
	for _, w := range oddPorts(c) {
		keys = append(keys, w.Key)
		if w.Remedy == "" {
			t.Errorf("no remedy: %s", w)
		}
	}
	if want := []string{"route[0].to[1]", "next_hop.address", "directory[0].urls[0]", "directory[0].urls[1]"}; !slices.Equal(keys, want) {
		t.Errorf("%q instead of %q", keys, want)
	}
}

// TestSharedFiles: databases in one file are no problem, and warned of.
func TestSharedFiles(t *testing.T) {
	c, problems := config.Parse("x.toml", []byte("[store]\nurl = \"/x.db\"\nkey_file = \"/x.key\"\n[queue]\npath = \"/x.db\"\n[console]\npath = \"/x.db\"\n"))
	var keys []string
	for _, w := range sharedFiles(c) {
		keys = append(keys, w.Key)
		if w.Remedy == "" || slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Key == w.Key }) {
			t.Errorf("no remedy, or a problem: %s", w)
		}
	}
	if want := []string{"queue.path", "console.path"}; !slices.Equal(keys, want) {
		t.Errorf("%q instead of %q", keys, want)
	}
}

// TestExpiredExceptions: the last day of an exception is one on which it applies.
func TestExpiredExceptions(t *testing.T) {
	c := &config.Config{Exceptions: []config.Exception{{Until: "2027-01-30"}, {Until: "2027-01-31"}, {}, {Until: "x"}}}
	ws := expiredExceptions(c, time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC))
	if len(ws) != 1 || ws[0].Key != "exception[0].until" || ws[0].Remedy == "" {
		t.Errorf("%v", ws)
	}
}
