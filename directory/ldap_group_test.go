package directory

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

// groupServer has one group of every kind.
func groupServer(tb testing.TB) *slapdtest.Server {
	tb.Helper()
	s := slapdtest.Start(tb, slapdtest.Config{})
	person := func(name string, more slapdtest.Attributes) {
		a := slapdtest.Attributes{"objectClass": {"user"}, "cn": {name}, "sn": {name}}
		for k, v := range more {
			a[k] = v
		}
		s.Add(tb, dnOf(name), a)
	}
	group := func(name string, classes []string, more slapdtest.Attributes) {
		a := slapdtest.Attributes{"objectClass": classes, "cn": {name}, "mail": {name + "@example.net"}}
		for k, v := range more {
			a[k] = v
		}
		s.Add(tb, dnOf(name), a)
	}
	person("anna", slapdtest.Attributes{"mail": {"anna@example.net"}})
	person("bert", slapdtest.Attributes{"proxyAddresses": {"smtp:b@example.net", "SMTP:bert@example.net"}})
	person("shared", slapdtest.Attributes{"mail": {"shared@example.net"}, "userAccountControl": {"514"}})
	person("computer", nil)
	s.Add(tb, dnOf("ute"), slapdtest.Attributes{
		"objectClass": {"inetOrgPerson"}, "cn": {"ute"}, "sn": {"ute"}, "uid": {"ute"}, "mail": {"ute@example.net"},
	})
	ad, names := []string{"group"}, []string{"groupOfNames", "extensibleObject"}
	group("inner", ad, slapdtest.Attributes{"member": {dnOf("bert"), dnOf("outer")}})
	group("outer", ad, slapdtest.Attributes{"member": {
		dnOf("anna"), strings.ToUpper(dnOf("inner")), dnOf("shared"), dnOf("computer"), "cn=gone," + slapdtest.People,
	}})
	group("names", names, slapdtest.Attributes{"member": {dnOf("anna"), dnOf("unique")}})
	group("unique", []string{"groupOfUniqueNames", "extensibleObject"},
		slapdtest.Attributes{"uniqueMember": {dnOf("ute") + "#'0101'B", dnOf("anna")}})
	group("posix", []string{"posixGroup", "extensibleObject"},
		slapdtest.Attributes{"gidNumber": {"1"}, "memberUid": {"ute", "*", "nobody"}})
	group("dynamic", []string{"groupOfURLs", "extensibleObject"},
		slapdtest.Attributes{"memberURL": {"ldap:///" + slapdtest.People + "??one?(mail=*a@example.net)"}})
	group("elsewhere", []string{"groupOfURLs", "extensibleObject"},
		slapdtest.Attributes{"memberURL": {"ldap://192.0.2.1/" + slapdtest.People + "??one?(mail=*)"}})
	group("empty", ad, nil)
	return s
}

func dnOf(name string) string { return "cn=" + name + "," + slapdtest.People }

func TestGroupsOfEveryKindAreExpanded(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}})
	d := open(t, Config{Sources: sources(&fakeSource{name: "other"}, l)})
	for name, c := range map[string]struct {
		members string
		notes   int
	}{
		"inner":   {"anna bert shared", 2},
		"outer":   {"anna bert shared", 2},
		"names":   {"anna ute", 0},
		"unique":  {"anna ute", 0},
		"posix":   {"ute", 0},
		"dynamic": {"anna", 0},
		"empty":   {"", 0},
	} {
		a := addr(t, name+"@example.net")
		r := d.Lookup(t.Context(), a)
		if r.Outcome != None || r.Group != l.Name() {
			t.Errorf("%s: %+v", name, r)
		}
		x, ok, err := d.Expand(t.Context(), a)
		var members []string
		for _, m := range x.Members {
			members = append(members, m.Local())
		}
		slices.Sort(members)
		if got := strings.Join(members, " "); err != nil || !ok || got != c.members || len(x.Notes) != c.notes {
			t.Errorf("%s: %q %q, %v", name, got, x.Notes, err)
		}
	}
}

func TestExpansionThatIsNotWholeIsAnError(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	for name, c := range map[string]struct {
		cfg   LDAPConfig
		group string
	}{
		"too many":           {LDAPConfig{Members: 3}, "outer"},
		"too many by search": {LDAPConfig{Members: 1}, "names"},
		"too deep":           {LDAPConfig{Depth: 1}, "outer"},
		"on another server":  {LDAPConfig{}, "elsewhere"},
		"not a group":        {LDAPConfig{}, "anna"},
		"not there":          {LDAPConfig{}, "absent"},
	} {
		c.cfg.URLs = []string{s.URL()}
		if x, err := openLDAP(t, c.cfg).Expand(t.Context(), addr(t, c.group+"@example.net")); err == nil {
			t.Errorf("%s: %v", name, x)
		}
	}
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}))})
	for _, a := range []string{"anna@example.net", "absent@example.net"} {
		if x, ok, err := d.Expand(t.Context(), addr(t, a)); ok || err != nil {
			t.Errorf("%s: %v, %v", a, x, err)
		}
	}
}

func TestOwnerIsPreferredToAGroupOfTheSameAddress(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	s.Set(t, dnOf("inner"), "mail", "anna@example.net")
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}))})
	if r := d.Lookup(t.Context(), addr(t, "anna@example.net")); r.Group != "" {
		t.Errorf("got %+v", r)
	}
	if x, ok, err := d.Expand(t.Context(), addr(t, "anna@example.net")); ok || err != nil {
		t.Errorf("expanded to %v, %v", x, err)
	}
}

// scripted runs an LDAP server that answers every search with the entries that
// answer returns.
func scripted(tb testing.TB, answer func(base string, attributes []string) []*ldap.Entry) *slapdtest.Hostile {
	tb.Helper()
	return scriptedFilter(tb, func(base, _ string, attributes []string) []*ldap.Entry { return answer(base, attributes) })
}

// scriptedFilter is scripted for answers that depend on the filter.
func scriptedFilter(tb testing.TB, answer func(base, filter string, attributes []string) []*ldap.Entry) *slapdtest.Hostile {
	tb.Helper()
	return slapdtest.StartHostile(tb, func(c net.Conn) {
		for {
			p, err := ber.ReadPacket(c)
			if err != nil || len(p.Children) < 2 || p.Children[1].Tag != ldap.ApplicationSearchRequest {
				c.Close()
				return
			}
			id, search := p.Children[0].Value.(int64), p.Children[1]
			var attributes []string
			for _, a := range search.Children[7].Children {
				attributes = append(attributes, a.Value.(string))
			}
			filter, err := ldap.DecompileFilter(search.Children[6])
			if err != nil {
				filter = err.Error()
			}
			for _, e := range answer(search.Children[0].Value.(string), filter, attributes) {
				_, _ = c.Write(envelope(id, entryPacket(e)))
			}
			done := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultDone, nil, "")
			done.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, 0, ""))
			done.AppendChild(octets(""))
			done.AppendChild(octets(""))
			_, _ = c.Write(envelope(id, done))
		}
	})
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func envelope(id int64, p *ber.Packet) []byte {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(p)
	return m.Bytes()
}

func entryPacket(e *ldap.Entry) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(octets(e.DN))
	attributes := ber.NewSequence("")
	for _, a := range e.Attributes {
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range a.Values {
			set.AppendChild(octets(v))
		}
		one := ber.NewSequence("")
		one.AppendChild(octets(a.Name))
		one.AppendChild(set)
		attributes.AppendChild(one)
	}
	p.AppendChild(attributes)
	return p
}

func TestMembersInPortions(t *testing.T) {
	t.Parallel()
	const members, portion = 25, 10
	portions := func(endless bool) func(string, []string) []*ldap.Entry {
		return func(base string, attributes []string) []*ldap.Entry {
			if strings.HasPrefix(base, "cn=m") {
				return []*ldap.Entry{ldap.NewEntry(base, map[string][]string{"mail": {base[3:5] + "@example.net"}})}
			}
			from, name := 0, "member"
			if _, err := fmt.Sscanf(attributes[0], "member;range=%d-*", &from); err == nil && from >= members && !endless {
				return nil
			}
			to := from + portion - 1
			name = fmt.Sprintf("member;range=%d-%d", from, to)
			if to >= members && !endless {
				to, name = members-1, fmt.Sprintf("member;range=%d-*", from)
			}
			var values []string
			for i := from; i <= to; i++ {
				values = append(values, "cn="+string([]byte{'m', byte('A' + i%50)})+",dc=x")
			}
			return []*ldap.Entry{ldap.NewEntry("cn=group,dc=x", map[string][]string{
				"objectClass": {"group"}, "member": {}, name: values,
			})}
		}
	}
	l := openLDAP(t, LDAPConfig{URLs: []string{scripted(t, portions(false)).URL()}})
	x, err := l.Expand(t.Context(), addr(t, "group@example.net"))
	if err != nil || len(x.Members) != members {
		t.Errorf("%d members %v, %v", len(x.Members), x.Members, err)
	}
	l = openLDAP(t, LDAPConfig{URLs: []string{scripted(t, portions(true)).URL()}, Members: 200})
	if x, err := l.Expand(t.Context(), addr(t, "group@example.net")); err == nil {
		t.Errorf("endless: %d members", len(x.Members))
	}
	for name, second := range map[string][]*ldap.Entry{
		"gone":  nil,
		"empty": {ldap.NewEntry("cn=group,dc=x", map[string][]string{"member": {}})},
	} {
		cut := func(base string, attributes []string) []*ldap.Entry {
			if strings.Contains(attributes[0], "range") {
				return second
			}
			return portions(false)(base, attributes)
		}
		l = openLDAP(t, LDAPConfig{URLs: []string{scripted(t, cut).URL()}})
		if x, err := l.Expand(t.Context(), addr(t, "group@example.net")); err == nil {
			t.Errorf("the second portion is %s: %v", name, x)
		}
	}
}
