package test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// filterKey is the key that the gateway shares with filters behind it.
const filterKey = "0123456789abcdef0123456789abcdef"

// genuine asks the function in docs/filters.md whether the gateway wrote the status of a
// message.
func genuine(t *testing.T, message []byte) bool {
	t.Helper()
	_, code, _ := strings.Cut(string(testpki.Must(os.ReadFile("../docs/filters.md"))), "```python\n")
	code, _, _ = strings.Cut(code, "```")
	cmd := exec.CommandContext(t.Context(), "python3", "-c", code+"\nimport sys\nprint(genuine(sys.stdin.buffer.read(), b'"+filterKey+"'))")
	cmd.Stdin = bytes.NewReader(message)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	return strings.TrimSpace(string(out)) == "True"
}
