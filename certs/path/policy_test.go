package path

import "testing"

func TestParsePolicies(t *testing.T) {
	list, err := ParsePolicies([]string{"2.16.840.1.101.3.2.1.48.1", anyPolicy})
	if err != nil || len(list) != 2 || list[1].String() != anyPolicy {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := ParsePolicies([]string{"policy one"}); err == nil {
		t.Error("words were taken for an object identifier")
	}
}
