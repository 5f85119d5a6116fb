package message

import "testing"

func TestNamesHidden(t *testing.T) {
	for name, want := range map[string]bool{
		"Bcc": true, "BCC": true, "Resent-Bcc": true, "resent-bcc": true,
		"Cc": false, "Resent-Cc": false, "X-Bcc": false, "": false,
	} {
		if got := (Field{Name: name}).NamesHidden(); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
