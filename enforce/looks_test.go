package enforce

import "testing"

// Whatever condition on the content a rule has, the gateway is asked for the header, unless
// it is on attachments, for which there is a question of their own. A kind that is added
// is asked for here as well.
func TestLooksAtHeader(t *testing.T) {
	lists := map[string]func(*Rule) []*[]string{
		"user":        func(r *Rule) []*[]string { return []*[]string{&r.User, &r.ExceptUser} },
		"network":     func(r *Rule) []*[]string { return []*[]string{&r.Network, &r.ExceptNetwork} },
		"listener":    func(r *Rule) []*[]string { return []*[]string{&r.Listener, &r.ExceptListener} },
		"header":      func(r *Rule) []*[]string { return []*[]string{&r.Header, &r.ExceptHeader} },
		"subject":     func(r *Rule) []*[]string { return []*[]string{&r.Subject, &r.ExceptSubject} },
		"sensitivity": func(r *Rule) []*[]string { return []*[]string{&r.Sensitivity, &r.ExceptSensitivity} },
		"importance":  func(r *Rule) []*[]string { return []*[]string{&r.Importance, &r.ExceptImportance} },
		"attachment":  func(r *Rule) []*[]string { return []*[]string{&r.Attachment, &r.ExceptAttachment} },
	}
	for _, k := range conditionKinds {
		lists, ok := lists[k.key]
		if !ok {
			t.Fatalf("the condition %q is not known here", k.key)
		}
		for i := range 2 {
			var r Rule
			*lists(&r)[i] = []string{"192.0.2.0/24"}
			c := compiler{names: map[string]int{}}
			c.conditions(&r)
			if want := k.late && k.key != "attachment"; c.header != want {
				t.Errorf("%s, list %d: header %t", k.key, i, c.header)
			}
			if want := k.key == "attachment"; c.attachments != want {
				t.Errorf("%s, list %d: attachments %t", k.key, i, c.attachments)
			}
		}
	}
	p, err := Compile([]Rule{
		{Name: "words", Subject: []string{"[secret]"}, Encrypt: "require", Sign: "never"},
		{Name: DefaultRule, Encrypt: "never", Sign: "never"},
	})
	if err != nil || !p.LooksAtHeader() {
		t.Errorf("a rule on the subject: %v", err)
	}
	in, err := CompileInbound([]InboundRule{{Name: "words", Subject: []string{"[secret]"}, OnResult: "reject"}})
	if err != nil || !in.LooksAtHeader() {
		t.Errorf("an inbound rule on the subject: %v", err)
	}
}
