package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	input := `{"Action":"output","Package":"p","Test":"TestGood","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"it broke\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"skip","Package":"p","Test":"TestServer"}
{"Action":"skip","Package":"p","Test":"TestCorpora"}
{"Action":"skip","Package":"q"}
{"Action":"output","Package":"p","Output":"FAIL p 1s\n"}
{"Action":"fail","Package":"p"}
`
	var out strings.Builder
	counted, err := report(strings.NewReader(input), &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := "1 passed, 1 failed, 2 skipped"; counted.String() != want {
		t.Errorf("counted %s, want %s", counted, want)
	}
	if len(counted.Unwanted) != 1 || counted.Unwanted[0] != "p.TestServer" {
		t.Errorf("skipped, and must not be: %q", counted.Unwanted)
	}
	if got, want := out.String(), "it broke\nFAIL p 1s\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestReportRefusesGarbage(t *testing.T) {
	if _, err := report(strings.NewReader("not json"), &strings.Builder{}); err == nil {
		t.Error("no error")
	}
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		counted counts
		ci      bool
		want    string
	}{
		"passed":            {counts{Passed: 3}, true, ""},
		"failed":            {counts{Passed: 3, Failed: 2, Broken: true}, false, "2 tests failed"},
		"package failed":    {counts{Broken: true}, false, "a package failed"},
		"skipped":           {counts{Skipped: 1, Unwanted: []string{"p.TestServer"}}, false, ""},
		"skipped, and CI":   {counts{Skipped: 2, Unwanted: []string{"q.T", "p.T"}}, true, "skipped, and must not be: p.T, q.T"},
		"foreign, under CI": {counts{Skipped: 1}, true, ""},
	} {
		got := ""
		if err := c.counted.verdict(c.ci); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTally(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally")
	for _, c := range []counts{{Passed: 40, Skipped: 1}, {Passed: 2, Failed: 1}} {
		if err := addTally(file, c); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := readTally(file)
	if want := "42 passed, 1 failed, 1 skipped"; err != nil || sum.String() != want {
		t.Errorf("%s, %v; want %s", sum, err, want)
	}
}
