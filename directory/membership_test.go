package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/smime/address"
)

func TestMembership(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	// A group whose name would be a filter of its own.
	odd := `we (all)*\5c`
	s.Add(t, "cn="+ldap.EscapeDN(odd)+","+slapdtest.People, slapdtest.Attributes{
		"objectClass": {"group"}, "cn": {odd}, "mail": {"*@example.net"}, "member": {dnOf("ute")},
	})
	d := open(t, Config{Sources: sources(&fakeSource{name: "other"}, openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}))})
	for _, c := range []struct {
		who, group string
		want       string
	}{
		{"anna", "outer@example.net", "in"},
		{"bert", "outer@example.net", "in"}, // in a group in it
		{"b", "outer@example.net", "in"},    // by another address
		{"anna", "inner@example.net", "in"}, // the two are in each other
		{"ute", "outer@example.net", "out"},
		{"ute", "names@example.net", "in"},
		{"ute", "unique@example.net", "in"},
		{"ute", "posix@example.net", "in"},
		{"anna", "posix@example.net", "out"},
		{"anna", "dynamic@example.net", "in"},
		{"bert", "dynamic@example.net", "out"},
		{"anna", "empty@example.net", "out"},
		{"inner", "outer@example.net", "in"}, // a group is a member too
		{"outer", "outer@example.net", "in"}, // and is itself
		{"nobody", "outer@example.net", "out"},
		{"anna", dnOf("outer"), "in"},
		{"anna", "CN=Outer, " + strings.ToUpper(slapdtest.People), "in"},
		{"ute", dnOf("outer"), "out"},
		{"anna", "OUTER@example.net", "in"},
		// Who is named is no group, or nothing: it is unknown what was meant.
		{"anna", "anna@example.net", "error"},
		{"anna", dnOf("anna"), "error"},
		{"anna", "absent@example.net", "error"},
		{"anna", "cn=absent," + slapdtest.People, "error"},
		{"anna", slapdtest.People, "error"},
		{"anna", "cn=outer", "error"},
		{"anna", `cn=outer=\zz`, "error"},
		{"anna", "elsewhere@example.net", "error"}, // its members are on another server
		// Names that look like filters are names.
		{"ute", "*@example.net", "in"},
		{"anna", "*@example.net", "out"},
		{"ute", "cn=" + ldap.EscapeDN(odd) + "," + slapdtest.People, "in"},
		{"anna", "cn=" + ldap.EscapeDN(odd) + "," + slapdtest.People, "out"},
		{"anna", `"x)(mail=*"@example.net`, "error"},
		{"*", "outer@example.net", "out"}, // that group, and not everybody
	} {
		got := "out"
		in, err := d.InGroup(t.Context(), addr(t, c.who+"@example.net"), c.group)
		switch {
		case err != nil:
			got = "error"
		case in:
			got = "in"
		}
		if got != c.want {
			t.Errorf("%s in %s: %s (%v), want %s", c.who, c.group, got, err, c.want)
		}
	}
}

func TestMembershipThatCannotBeHad(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	for name, cfg := range map[string]LDAPConfig{
		"too many": {Members: 2},
		"too deep": {Depth: 1},
	} {
		cfg.URLs = []string{s.URL()}
		d := open(t, Config{Sources: sources(openLDAP(t, cfg))})
		if in, err := d.InGroup(t.Context(), addr(t, "ute@example.net"), "outer@example.net"); in || err == nil {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
	d := open(t, Config{Sources: sources(&fakeSource{name: "s"})})
	if _, err := d.InGroup(t.Context(), addr(t, bob), "outer@example.net"); !errors.Is(err, errUnheard) {
		t.Errorf("no source knows groups: %v", err)
	}
}

// A server that is down makes memberships unknown, and is asked again.
func TestMembershipWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	clock := newFakeClock()
	d := open(t, Config{
		Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Clock: clock.Now})), Clock: clock.Now,
	})
	anna := addr(t, "anna@example.net")
	s.Stop(t)
	if in, err := d.InGroup(t.Context(), anna, "outer@example.net"); in || err == nil {
		t.Errorf("down: %v, %v", in, err)
	}
	if _, ok, err := d.Expand(t.Context(), addr(t, "outer@example.net")); ok || err == nil {
		t.Errorf("down: %v, %v", ok, err)
	}
	s.Restart(t)
	clock.advance(time.Minute)
	if in, err := d.InGroup(t.Context(), anna, "outer@example.net"); !in || err != nil {
		t.Errorf("up again: %v, %v", in, err)
	}
}

// The directory is not asked about a domain that is none of its business, and
// who is of it is in none of its groups.
func TestMembershipOfOtherDomains(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	d := open(t, Config{Sources: []SourceConfig{{
		Source: openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}), Domains: []string{"example.net"},
	}}})
	anna := addr(t, "anna@elsewhere.example")
	for _, group := range []string{"outer@example.net", dnOf("outer")} {
		if in, err := d.InGroup(t.Context(), anna, group); in || err != nil {
			t.Errorf("%s: %v, %v", group, in, err)
		}
	}
	for _, group := range []string{"absent@example.net", "cn=absent," + slapdtest.People, "outer@elsewhere.example"} {
		if in, err := d.InGroup(t.Context(), anna, group); in || !errors.Is(err, errUnheard) {
			t.Errorf("%s: %v, %v", group, in, err)
		}
	}
	if _, ok, err := d.Expand(t.Context(), addr(t, "outer@elsewhere.example")); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestGroupOf1501(t *testing.T) {
	t.Parallel()
	const n = 1501
	s := slapdtest.Start(t, slapdtest.Config{})
	s.Fill(t, n, issue(t, bob, 0))
	var members []string
	for i := range n {
		members = append(members, dnOf(fmt.Sprintf("user%d", i)))
	}
	s.Add(t, dnOf("all"), slapdtest.Attributes{"objectClass": {"group"}, "cn": {"all"}, "mail": {"all@example.net"}, "member": members})
	last, all := addr(t, fmt.Sprintf("user%d@example.net", n-1)), "all@example.net"
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Members: n})), Timeout: time.Minute})
	if in, err := d.InGroup(t.Context(), last, all); !in || err != nil {
		t.Errorf("%v, %v", in, err)
	}
	if x, ok, err := d.Expand(t.Context(), addr(t, all)); !ok || err != nil || len(x.Members) != n {
		t.Errorf("%d members, %v, %v", len(x.Members), ok, err)
	}
	d = open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Members: n - 1})), Timeout: time.Minute})
	if _, err := d.InGroup(t.Context(), last, all); !errors.Is(err, errManyMembers) {
		t.Errorf("one too many: %v", err)
	}
	if _, ok, err := d.Expand(t.Context(), addr(t, all)); ok || !errors.Is(err, errManyMembers) {
		t.Errorf("one too many: %v, %v", ok, err)
	}
}

// activeDirectory answers as Active Directory does: it follows groups in groups,
// from the entry on at which the search begins.
func activeDirectory(t *testing.T, asked *[]string, mu *sync.Mutex) *slapdtest.Hostile {
	person, group := "cn=anna,dc=x", `cn=b(oa)rd*,dc=x`
	return scriptedFilter(t, func(base, filter string, attributes []string) []*ldap.Entry {
		mu.Lock()
		*asked = append(*asked, base+" "+filter)
		mu.Unlock()
		switch {
		case base == "" && strings.Contains(strings.Join(attributes, " "), "supportedCapabilities"):
			return []*ldap.Entry{ldap.NewEntry("", map[string][]string{"supportedCapabilities": {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670"}})}
		case strings.Contains(filter, "mail=anna@example.net"):
			return []*ldap.Entry{ldap.NewEntry(person, map[string][]string{"objectClass": {"user"}})}
		case strings.Contains(filter, "mail=bert@example.net"):
			return []*ldap.Entry{ldap.NewEntry("cn=bert,dc=x", map[string][]string{"objectClass": {"user"}})}
		case strings.Contains(filter, "mail=board@example.net"):
			return []*ldap.Entry{ldap.NewEntry(group, map[string][]string{"objectClass": {"group"}})}
		case base == person && filter == `(memberOf:1.2.840.113556.1.4.1941:=cn=b\28oa\29rd\2a,dc=x)`:
			return []*ldap.Entry{ldap.NewEntry(person, map[string][]string{})}
		}
		return nil
	})
}

func TestActiveDirectoryFollowsTheChain(t *testing.T) {
	t.Parallel()
	for _, nested := range []string{"", nestedChain} {
		var mu sync.Mutex
		var asked []string
		s := activeDirectory(t, &asked, &mu)
		d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Base: "dc=x", Nested: nested}))})
		for who, want := range map[string]bool{"anna@example.net": true, "bert@example.net": false, "nobody@example.net": false} {
			for range 2 {
				if in, err := d.InGroup(t.Context(), addr(t, who), "board@example.net"); in != want || err != nil {
					t.Errorf("%q: %s: %v, %v", nested, who, in, err)
				}
			}
		}
		// The group once, three persons, two chains, and what the server is.
		want := 6
		if nested == "" {
			want++
		}
		if len(asked) != want {
			t.Errorf("%q: %d questions: %q", nested, len(asked), asked)
		}
	}
}

// fakeGroups is a source that counts what it is asked.
type fakeGroups struct {
	fakeSource
	err     error
	hold    chan struct{} // if not nil, waited for
	members map[string]bool
	asked   atomic.Int64
}

func (f *fakeGroups) Expand(context.Context, address.Address) (Group, error) {
	return Group{}, errNoGroup
}

func (f *fakeGroups) groups() groupSource { return f }

func (f *fakeGroups) addressesOf(context.Context, string) ([]address.Address, bool, error) {
	return nil, false, nil
}

func (f *fakeGroups) hasAliases() bool { return false }

func (f *fakeGroups) holders(context.Context, address.Address) ([]holder, error) {
	return nil, f.err
}

func (f *fakeGroups) entriesOf(_ context.Context, a address.Address) ([]string, error) {
	return []string{"cn=" + a.Local()}, nil
}

func (f *fakeGroups) groupsNamed(context.Context, string) ([]string, error) {
	return []string{"cn=group"}, nil
}

func (f *fakeGroups) chains(context.Context) (bool, error) { return false, nil }

func (f *fakeGroups) inChain(context.Context, string, string) (bool, error) { panic("not to be asked") }

func (f *fakeGroups) everybodyIn(context.Context, string) (map[string]bool, error) {
	f.asked.Add(1)
	if f.hold != nil {
		<-f.hold
	}
	return f.members, f.err
}

func TestMembershipIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	f := &fakeGroups{fakeSource: fakeSource{name: "g"}, members: map[string]bool{"cn=bob": true}}
	clock := newFakeClock()
	d := open(t, Config{Sources: sources(f), Clock: clock.Now, Negative: time.Minute})
	ask := func(want bool, asked int64) {
		t.Helper()
		for range 2 {
			in, err := d.InGroup(t.Context(), addr(t, bob), "g@example.net")
			if in != want || err != nil || f.asked.Load() != asked {
				t.Errorf("%v, %v after %d questions, want %v after %d", in, err, f.asked.Load(), want, asked)
			}
		}
	}
	ask(true, 1)
	f.members = nil
	clock.advance(59 * time.Second)
	ask(true, 1)
	clock.advance(2 * time.Second)
	ask(false, 2)
	f.members = map[string]bool{"cn=bob": true}
	d.Flush()
	ask(true, 3)
	d.Flush()
	f.err = errDown
	for i := range 2 {
		if in, err := d.InGroup(t.Context(), addr(t, "x@example.net"), "g@example.net"); in || !errors.Is(err, errDown) || f.asked.Load() != int64(4+i) {
			t.Errorf("%v, %v after %d questions", in, err, f.asked.Load())
		}
	}
}

// Many who ask the same wait for one answer, and none longer than they want.
func TestMembershipIsAskedOnce(t *testing.T) {
	t.Parallel()
	f := &fakeGroups{fakeSource: fakeSource{name: "g"}, members: map[string]bool{"cn=bob": true}, hold: make(chan struct{})}
	d := open(t, Config{Sources: sources(f)})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if in, err := d.InGroup(t.Context(), addr(t, bob), "g@example.net"); !in || err != nil {
				t.Errorf("%v, %v", in, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if in, err := d.InGroup(ctx, addr(t, bob), "g@example.net"); in || !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: %v, %v", in, err)
	}
	close(f.hold)
	all.Wait()
	if n := f.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.InGroup(t.Context(), addr(t, "new@example.net"), "g@example.net"); !errors.Is(err, background.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A member that may not be read could be anybody: that is not the same as one that
// does not exist any more.
func TestMemberThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	s := scriptedFilter(t, func(base, filter string, _ []string) []*ldap.Entry {
		if base == "cn=hidden,dc=x" || filter != everyEntry && !strings.Contains(filter, "group@") {
			return nil
		}
		return []*ldap.Entry{ldap.NewEntry("cn=group,dc=x", map[string][]string{"objectClass": {"group"}, "member": {"cn=hidden,dc=x"}})}
	})
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Base: "dc=x"}))})
	if x, ok, err := d.Expand(t.Context(), addr(t, "group@example.net")); ok || err == nil || !strings.Contains(err.Error(), "cn=hidden") {
		t.Errorf("%+v, %v, %v", x, ok, err)
	}
}

// A membership that is remembered costs two map lookups.
func BenchmarkMembershipCached(b *testing.B) {
	f := &fakeGroups{fakeSource: fakeSource{name: "g"}, members: map[string]bool{"cn=bob": true}}
	d := New(Config{Sources: []SourceConfig{{Source: f}}})
	defer d.Close()
	who := addr(b, bob)
	b.ReportAllocs()
	for b.Loop() {
		if in, err := d.InGroup(b.Context(), who, "g@example.net"); !in || err != nil {
			b.Fatal(in, err)
		}
	}
}
