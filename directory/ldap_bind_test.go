package directory

import (
	"testing"
)

// Only a user who can bind logs in: not without a password, not by a filter, not
// with a name that the server only takes for another.
func TestCheckPassword(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	s.Set(t, dnOf("anna"), "sAMAccountName", "anna")
	s.Set(t, dnOf("anna"), "userPassword", "secret")
	s.Set(t, dnOf("shared"), "sAMAccountName", "shared") // disabled
	s.Set(t, dnOf("shared"), "userPassword", "secret")
	s.Set(t, dnOf("computer"), "sAMAccountName", "ute") // as the uid of another
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, UserFilter: "(|(uid={user})(sAMAccountName={user}))"})
	for _, c := range []struct {
		user, password string
		want           string
	}{
		{"anna", "secret", "yes"},
		{"ANNA", "secret", "yes"},
		{"anna", "Secret", "no"},
		{"anna", "", "no"},
		{"bert", "secret", "no"}, // has no password
		{"shared", "secret", "no"},
		{"stranger", "secret", "no"},
		{"", "secret", "no"},
		{"*", "secret", "no"},
		{"anna)(uid=*", "secret", "no"},
		{" anna", "secret", "no"},
		{"an na", "secret", "no"},
		{"\uff41nna", "secret", "no"}, // a wide letter, which the server takes for "a"
		{"anna\x00", "secret", "no"},
		{"ute", "secret", "error"}, // two entries have this name
	} {
		ok, err := l.CheckPassword(t.Context(), c.user, c.password)
		got := map[bool]string{true: "yes", false: "no"}[ok]
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q, %q: %s (%v), want %s", c.user, c.password, got, err, c.want)
		}
	}
	// The connections of the searches are bound as before.
	if _, err := l.CheckPassword(t.Context(), "anna", "secret"); err != nil {
		t.Error(err)
	}
	if _, err := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}).CheckPassword(t.Context(), "anna", "secret"); err == nil {
		t.Error("a user is found without a filter")
	}
	s.Stop(t)
	if ok, err := l.CheckPassword(t.Context(), "anna", "secret"); ok || err == nil {
		t.Errorf("a server that is down says %v, %v", ok, err)
	}
}
