package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCorporaCases runs the offline part of the cases; make cases runs all.
func TestCorporaCases(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("../..", folder()))
	if filepath.IsAbs(folder()) {
		dir = folder()
	}
	if err != nil {
		t.Fatal(err)
	}
	if !present(dir) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is absent; CASES names the folder", dir)
		}
		t.Logf("%s is absent, so none was run", dir)
		return
	}
	binary := filepath.Join(t.TempDir(), "smimerelay")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/smimerelay").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checks, err := load("message/")
	if err != nil {
		t.Fatal(err)
	}
	for r := range runAll(checks, dir, binary) {
		if r.problem != "" {
			t.Errorf("%s: %s\n%s", r.check, r.problem, r.output)
		}
	}
}

func TestJudge(t *testing.T) {
	c := check{Exit: 1, Want: []string{"^result: fail"}, Never: []string{"^result: pass"}}
	for _, x := range []struct {
		output string
		status int
		good   bool
	}{
		{"result: fail\n", 1, true},
		{"result: fail\n", 0, false},
		{"nothing\n", 1, false},
		{"result: fail\nresult: pass\n", 1, false},
	} {
		problem, err := c.judge(x.output, x.status)
		if err != nil || (problem == "") != x.good {
			t.Errorf("judge(%q, %d) = %q, %v", x.output, x.status, problem, err)
		}
	}
	if _, err := (check{Want: []string{"("}}).judge("", 0); err == nil {
		t.Error("a pattern that does not compile gave no error")
	}
}
