package scripts

import (
	"strings"
	"testing"
)

// fuzzing is a `go` with one package of one target; body is what fuzzing it does.
func fuzzing(body string) map[string]string {
	return map[string]string{"go": `
case "$*" in
list*) echo example.com/p ;;
*-list*) echo FuzzRead; echo ok example.com/p ;;
*) ` + body + ` ;;
esac`}
}

const progress = `echo "fuzz: elapsed: 3s, execs: 7000 (2500/sec), new interesting: 29 (total: 31)"
echo "fuzz: elapsed: 5s, execs: 7500 (250/sec), new interesting: 29 (total: 31)"
`

func TestFuzz(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		fails   bool
		want    string
		forbids string
	}{
		"passed":                   {progress + `echo PASS`, false, "fuzz: 1 targets, 7500 inputs", "PASS"},
		"ended while minimising":   {progress + `echo "--- FAIL: FuzzRead"; echo "    context deadline exceeded"; exit 1`, false, "FuzzRead: 7500 inputs", "FAIL"},
		"found":                    {progress + `echo "--- FAIL: FuzzRead"; echo "    Failing input written to x"; exit 1`, true, "--- FAIL: FuzzRead", "FuzzRead: 7500"},
		"found, then out of time":  {`echo "Failing input written to x"; echo "    context deadline exceeded"; exit 1`, true, "Failing input", "0 inputs\nfuzz: 1 targets, 1"},
		"seed failed":              {`echo "failure while testing seed corpus entry"; exit 1`, true, "seed corpus", "FuzzRead: 0"},
		"package that won't build": {`echo "syntax error"; exit 1`, true, "syntax error", "FuzzRead: 0"},
	} {
		output, err := script(t, fuzzing(c.body), nil, "fuzz", "5s")
		if (err != nil) != c.fails || !strings.Contains(output, c.want) || strings.Contains(output, c.forbids) {
			t.Errorf("%s: %v, printed:\n%s", name, err, output)
		}
	}
}
