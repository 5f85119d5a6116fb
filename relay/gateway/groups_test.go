package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// fakeGroups knows groups by address key; who is in errs is unknown.
type fakeGroups struct {
	t       testing.TB
	mu      sync.Mutex
	members map[string]string // by group, separated by blanks
	errs    map[string]bool
	asked   map[string]int
	panics  bool
	// conflicts are why an address is ambiguous; oneWay says that no entry of an alias
	// confirms it.
	conflicts map[string]string
	oneWay    bool
}

func (f *fakeGroups) list(group string) []address.Address {
	var all []address.Address
	for _, s := range strings.Fields(f.members[group]) {
		a, err := address.Parse(s)
		if err != nil {
			f.t.Error(err)
		}
		all = append(all, a)
	}
	return all
}

func (f *fakeGroups) note(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("directory is broken")
	}
	f.asked[what]++
	return nil
}

func (f *fakeGroups) InGroup(_ context.Context, who address.Address, group string) (bool, error) {
	_ = f.note(who.Key(address.IgnoreCase) + " in " + group)
	if f.errs[group] {
		return false, errors.New("secret-host: no answer")
	}
	return slices.ContainsFunc(f.list(group), func(a address.Address) bool { return a.Equal(who, address.IgnoreCase) }), nil
}

func (f *fakeGroups) Expand(_ context.Context, a address.Address) (directory.Group, bool, error) {
	key := a.Key(address.IgnoreCase)
	_ = f.note("members of " + key)
	if f.errs[key] {
		return directory.Group{}, false, errors.New("secret-host: more members than allowed: 2")
	}
	_, ok := f.members[key]
	return directory.Group{Members: f.list(key), Notes: []string{"a note"}}, ok, nil
}

func (f *fakeGroups) SameOwner(_ context.Context, a, b address.Address) (directory.Ownership, error) {
	_ = f.note("owner of " + a.Key(address.IgnoreCase))
	list, err := f.aliases(a)
	if err != nil {
		return directory.Ownership{}, err
	}
	same := slices.ContainsFunc(list, func(o address.Address) bool { return o.Equal(b, address.IgnoreCase) })
	if conflict := f.conflicts[b.Key(address.IgnoreCase)]; same && conflict != "" {
		return directory.Ownership{Conflict: conflict}, nil
	}
	return directory.Ownership{Same: same && !f.oneWay}, nil
}

func (f *fakeGroups) Aliases(_ context.Context, a address.Address) ([]address.Address, error) {
	_ = f.note("aliases of " + a.Key(address.IgnoreCase))
	return f.aliases(a)
}

func (f *fakeGroups) aliases(a address.Address) ([]address.Address, error) {
	if f.errs[a.Key(address.IgnoreCase)] {
		return nil, errors.New("secret-host: no answer")
	}
	return f.list("aliases of " + a.Key(address.IgnoreCase)), nil
}

func (f *fakeGroups) AddressesOf(_ context.Context, user string) ([]address.Address, error) {
	_ = f.note("user " + user)
	if f.errs[user] {
		return nil, errors.New("secret-host: no answer")
	}
	return f.list(user), nil
}

// groupWorld has rules on groups above those of the world.
func groupWorld(t *testing.T) (*world, *fakeGroups) {
	t.Helper()
	w := newWorld(t)
	f := &fakeGroups{t: t, errs: make(map[string]bool), asked: make(map[string]int), members: map[string]string{
		"board@own.example": "x@plain.example alice@own.example",
		"open@own.example":  "",
	}}
	w.config.Groups = f
	w.config.Policy = mustCompile(t, append([]enforce.Rule{
		{Name: "expand", Recipient: []string{"list.example"}, ExpandGroups: true, Sign: "never", Encrypt: "never"},
		{Name: "board", RecipientGroup: []string{"board@own.example"}, Recipient: []string{"plain.example"}, Sign: "never", Encrypt: "require"},
		{Name: "from the board", SenderGroup: []string{"board@own.example"}, Recipient: []string{"sender.example"}, Sign: "never", Encrypt: "require"},
		{Name: "open", RecipientGroup: []string{"open@own.example"}, Recipient: []string{"open.example"}, Sign: "never", Encrypt: "require"},
	}, worldRules()...)...)
	w.start()
	return w, f
}

func TestGroupConditions(t *testing.T) {
	w, f := groupWorld(t)
	w.expect([]string{"x@plain.example"}, "refused x@plain.example 550 5.7.1 no valid S/MIME certificate for x@plain.example: no certificate found in fake")
	w.expect([]string{"y@plain.example"}, "plain y@plain.example")
	w.expect([]string{"y@sender.example"}, "refused y@sender.example 550 5.7.1 no valid S/MIME certificate for y@sender.example: no certificate found in fake")
	f.errs["open@own.example"] = true
	const waits = "refused z@open.example 451 4.4.3 cannot look up now whether z@open.example is in the group open@own.example: group membership lookup failed"
	w.expect([]string{"z@open.example"}, waits)
	o := w.expect([]string{"z@open.example", "y@elsewhere.example"}, "refused y@elsewhere.example 451 4.4.3 the message waits for another recipient: "+strings.TrimPrefix(waits, "refused z@open.example 451 4.4.3 ")+"\n"+waits)
	if len(o.Deliveries) > 0 {
		t.Error("a recipient gets it already")
	}
	// Who is named by no rule is not asked for, and no one twice.
	clear(f.asked)
	w.expect([]string{bob, "y@plain.example"}, "encrypted "+bob+"\nrefused y@plain.example 550 5.7.1 the message is encrypted for other recipients (rule \"enc\") and may not go to y@plain.example in plaintext; send a separate message to y@plain.example")
	if !maps.Equal(f.asked, map[string]int{"y@plain.example in board@own.example": 1}) {
		t.Errorf("asked %v", f.asked)
	}
	w.config.Groups = nil
	w.start()
	w.expect([]string{"x@plain.example"}, "refused x@plain.example 451 4.4.3 cannot look up now whether x@plain.example is in the group board@own.example: group membership lookup failed")
}

func TestExpandedGroups(t *testing.T) {
	staff := "staff@list.example"
	for _, tt := range []struct {
		name, to, members, want string
	}{
		{"all get it", staff, bob + " " + carol, "encrypted bob@enc.example carol@enc.example\nstaff@list.example: bob@enc.example carol@enc.example"},
		{"one by another rule is refused", staff, bob + " " + dave, "encrypted bob@enc.example\nrefused dave@enc.example 550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01\nstaff@list.example: bob@enc.example dave@enc.example"},
		{"one is removed", staff, "x@strip.example none@strip.example", "encrypted x@strip.example\nstripped none@strip.example\nstaff@list.example: x@strip.example none@strip.example"},
		{"one is held", staff, bob + " " + late, "encrypted bob@enc.example\nheld late@hold.example no valid S/MIME certificate for late@hold.example: no certificate found in fake\nstaff@list.example: bob@enc.example late@hold.example"},
		{"one is held and one waits", staff, erin + " " + late, "refused erin@enc.example 451 4.4.3 cannot look up the certificate of erin@enc.example now: fake is unavailable\nrefused late@hold.example 451 4.4.3 the message waits for another recipient: cannot look up the certificate of erin@enc.example now: fake is unavailable\nstaff@list.example: erin@enc.example late@hold.example"},
		{"one waits, and all wait", staff, bob + " " + erin, "refused bob@enc.example 451 4.4.3 the message waits for another recipient: cannot look up the certificate of erin@enc.example now: fake is unavailable\nrefused erin@enc.example 451 4.4.3 cannot look up the certificate of erin@enc.example now: fake is unavailable\nstaff@list.example: bob@enc.example erin@enc.example"},
		{"named directly too", staff + " " + bob, "BOB@enc.example " + carol, "encrypted bob@enc.example carol@enc.example\nstaff@list.example: bob@enc.example carol@enc.example"},
		{"in two groups", staff + " all@list.example", bob, "encrypted bob@enc.example\nstaff@list.example: bob@enc.example\nall@list.example: bob@enc.example"},
		{"itself is no member", staff, staff + " " + bob, "encrypted bob@enc.example\nstaff@list.example: bob@enc.example"},
		{"no members", staff, "", "refused staff@list.example 550 5.7.1 the group staff@list.example has no members"},
		{"only itself", staff, staff, "refused staff@list.example 550 5.7.1 the group staff@list.example has no members"},
		{"not a group", "person@list.example", "", "plain person@list.example"},
		{"unknown", "broken@list.example " + bob, "", "refused bob@enc.example 451 4.4.3 the message waits for another recipient: cannot look up now who is in the group broken@list.example: group membership lookup failed\nrefused broken@list.example 451 4.4.3 cannot look up now who is in the group broken@list.example: group membership lookup failed"},
		{"a group of the message in another", staff + " inner@list.example", "inner@list.example " + bob, "encrypted bob@enc.example carol@enc.example\nstaff@list.example: bob@enc.example carol@enc.example\ninner@list.example: carol@enc.example"},
		{"a member is no group", staff, "inner@list.example", "plain inner@list.example\nstaff@list.example: inner@list.example"},
		{"members have rules on groups", staff, "x@plain.example", "refused x@plain.example 550 5.7.1 no valid S/MIME certificate for x@plain.example: no certificate found in fake\nstaff@list.example: x@plain.example"},
		{"members may not tell", staff, "z@open.example " + bob, "refused bob@enc.example 451 4.4.3 the message waits for another recipient: cannot look up now whether z@open.example is in the group open@own.example: group membership lookup failed\nrefused z@open.example 451 4.4.3 cannot look up now whether z@open.example is in the group open@own.example: group membership lookup failed\nstaff@list.example: z@open.example bob@enc.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, f := groupWorld(t)
			f.members[staff], f.members["all@list.example"], f.members["inner@list.example"] = tt.members, tt.members, carol
			f.errs["broken@list.example"], f.errs["open@own.example"] = true, true
			to := strings.Fields(tt.to)
			o, err := w.gateway.outcome(context.Background(), w.envelope("out", "alice@own.example", to...), w.letter(to...))
			if err != nil {
				t.Fatal(err)
			}
			got := w.outline(o)
			for _, x := range o.Expanded {
				got += fmt.Sprintf("\n%s: %s", x.Group, strings.Join(texts(x.Members), " "))
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if strings.Contains(got, "secret-host") {
				t.Error("the peer learns of the directory")
			}
		})
	}
}

// Who waits for a certificate as a member of a group waits on as a recipient, and
// is not taken for a group again. Without a sender it could not be reported.
func TestHeldMembers(t *testing.T) {
	w, f := groupWorld(t)
	f.members["staff@list.example"], f.members[late] = bob+" "+late, carol
	policy := func(expand bool) {
		w.config.Policy = mustCompile(t,
			enforce.Rule{Name: "lists", Recipient: []string{"list.example"}, ExpandGroups: true, Sign: "never", Encrypt: "never"},
			enforce.Rule{Name: "hold", Recipient: []string{"hold.example"}, Sign: "never", Encrypt: "require", NoCertificate: "hold", ExpandGroups: expand},
			enforce.Rule{Name: "default", Sign: "never", Encrypt: "require"})
		w.start()
	}
	policy(false)
	env := w.envelope("out", "alice@own.example", "staff@list.example")
	env.Recipients[0].Original = "crew@list.example"
	o, err := w.gateway.outcome(context.Background(), env, w.letter("staff@list.example"))
	if err != nil {
		t.Fatal(err)
	}
	if h := o.Held; h == nil || h.Envelope.Others != 1 || len(h.Envelope.Recipients) != 1 || h.Envelope.Recipients[0].Original != "crew@list.example" {
		t.Fatalf("held %+v", o.Held)
	}
	policy(true)
	w.appear(late)
	if got := w.outline(w.again(o.Held, relay.Order{})); got != "encrypted late@hold.example" {
		t.Error(got)
	}
	delete(w.dir.results, late)
	policy(false)
	env = w.envelope("out", "", "staff@list.example")
	o, err = w.gateway.outcome(context.Background(), env, w.letter("staff@list.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.outline(o); strings.Count(got, "refused") != 2 || strings.Count(got, " 451 ") != 2 {
		t.Error(got)
	}
}

// A group that is shown shows its members; the members of one that is not get a
// copy each, so that they do not learn of each other.
func TestMembersOfHiddenGroups(t *testing.T) {
	w, f := groupWorld(t)
	f.members["staff@list.example"] = bob + " " + carol
	for shown, want := range map[string]string{
		"staff@list.example": "encrypted bob@enc.example carol@enc.example",
		"x@elsewhere":        "encrypted bob@enc.example\nencrypted carol@enc.example",
		bob:                  "encrypted bob@enc.example\nencrypted carol@enc.example",
	} {
		o, err := w.gateway.outcome(context.Background(), w.envelope("out", "alice@own.example", "staff@list.example"), w.letter(shown))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != want {
			t.Errorf("shown %s:\n got %s\nwant %s", shown, got, want)
		}
	}
	// A member named openly is hidden by no group.
	o, err := w.gateway.outcome(context.Background(), w.envelope("out", "alice@own.example", "staff@list.example", bob, carol), w.letter(bob, carol))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.outline(o); got != "encrypted bob@enc.example carol@enc.example" {
		t.Error(got)
	}
}

func TestMembersKeepTheWishesForTheGroup(t *testing.T) {
	w, f := groupWorld(t)
	f.members["staff@list.example"], f.members["all@list.example"] = bob+" "+carol, "y@elsewhere.example"
	env := w.envelope("out", "alice@own.example", "staff@list.example", "all@list.example", carol)
	env.Recipients[0].Notify, env.Recipients[0].OriginalType, env.Recipients[0].Original = []string{"FAILURE"}, "rfc822", "crew@list.example"
	env.Recipients[2].Original = "c@enc.example"
	w.config.Policy = mustCompile(t, enforce.Rule{Name: "default", ExpandGroups: true, Sign: "never", Encrypt: "never"})
	w.start()
	o, err := w.gateway.outcome(context.Background(), env, w.letter("staff@list.example"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			got[r.Address.String()] = fmt.Sprint(r.Notify, r.OriginalType, r.Original)
		}
	}
	want := map[string]string{bob: "[FAILURE]rfc822crew@list.example", carol: "[]c@enc.example", "y@elsewhere.example": "[]rfc822all@list.example"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPanicOfGroupsIsTemporary(t *testing.T) {
	w, f := groupWorld(t)
	f.panics = true
	_, err := w.gateway.Process(context.Background(), w.envelope("out", "alice@own.example", "staff@list.example"), w.letter("staff@list.example"), relay.Capabilities{})
	if err == nil || relay.ReplyFor(err).Code != 451 {
		t.Errorf("error %v", err)
	}
}

func TestExplainGroups(t *testing.T) {
	w, f := groupWorld(t)
	f.members["staff@list.example"] = bob + " y@plain.example"
	f.errs["open@own.example"] = true
	x := w.explain("alice@own.example", "staff@list.example", "z@open.example", "y@sender.example")
	if len(x.Expanded) != 1 || x.Expanded[0].Group != "staff@list.example" || !slices.Equal(x.Expanded[0].Members, []string{bob, "y@plain.example"}) || len(x.Expanded[0].Notes) != 1 {
		t.Errorf("expanded %+v", x.Expanded)
	}
	if !slices.Equal(x.SenderGroups, []ExplainedMembership{{Group: "board@own.example", Member: "yes"}}) {
		t.Errorf("the sender: %+v", x.SenderGroups)
	}
	got := make(map[string]string)
	for _, r := range x.Recipients {
		got[r.Address] = fmt.Sprintf("%s%v%v", r.Outcome, r.Through, r.Memberships)
	}
	for who, want := range map[string]string{
		bob:                "deferred[staff@list.example][]",
		"y@plain.example":  "deferred[staff@list.example][{board@own.example no }]",
		"z@open.example":   "deferred[][{open@own.example unknown group membership lookup failed}]",
		"y@sender.example": "refused[][]",
	} {
		if got[who] != want {
			t.Errorf("%s: %s, want %s", who, got[who], want)
		}
	}
}

func TestEntitlementByDirectory(t *testing.T) {
	w, f := groupWorld(t)
	f.members["alice"], f.members["bob"], f.errs["carol"] = "sales@own.example alice@own.example", "bob@own.example", true
	w.config.Entitlements = mustEntitle(t, enforce.Entitlement{User: []string{"?*"}, From: []string{"directory"}})
	w.start()
	for user, want := range map[string]string{
		"alice": "signed x@sign.example",
		"bob":   "refused x@sign.example 550 5.7.1 the message must be signed, but cannot be: this client may not send as alice@own.example",
		"carol": "refused x@sign.example 451 4.7.0 the message must be signed, but cannot be: cannot look up now whether this client may send as alice@own.example",
		"":      "refused x@sign.example 550 5.7.1 the message must be signed, but cannot be: this client may not send as alice@own.example",
	} {
		env := w.envelope("out", "alice@own.example", "x@sign.example")
		env.Client.User = user
		o, err := w.process(env, w.letter("x@sign.example"))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != want {
			t.Errorf("%q:\n got %s\nwant %s", user, got, want)
		}
	}
	if f.asked["user "] > 0 {
		t.Error("asked for the null sender")
	}
	// Who may without the directory does not wait for it.
	w.config.Entitlements = mustEntitle(t, enforce.Entitlement{User: []string{"?*"}, From: []string{"directory", "alice@own.example"}})
	w.start()
	env := w.envelope("out", "alice@own.example", "x@sign.example")
	env.Client.User = "carol"
	clear(f.asked)
	if o, err := w.process(env, w.letter("x@sign.example")); err != nil || w.outline(o) != "signed x@sign.example" || len(f.asked) > 0 {
		t.Errorf("%v, %v, asked %v", o, err, f.asked)
	}
}

func mustEntitle(t *testing.T, list ...enforce.Entitlement) *enforce.Entitlements {
	t.Helper()
	e, err := enforce.CompileEntitlements(list)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
