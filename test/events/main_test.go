package main

import (
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
	skipped, err := report(strings.NewReader(input), &out)
	if err != nil {
		t.Fatal(err)
	}
	if len(skipped) != 1 || skipped[0] != "p.TestServer" {
		t.Errorf("skipped %q", skipped)
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
