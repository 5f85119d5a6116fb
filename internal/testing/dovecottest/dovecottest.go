//go:build unix

// Package dovecottest shows tests what a mailbox server makes of a message: Dovecot's
// imap process reads it out of a Maildir of its own, without a listener and as a user
// without rights.
package dovecottest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testuser"
)

// program is where Debian's dovecot-imapd puts the process that serves one session.
const program = "/usr/lib/dovecot/imap"

// Part is a part of a message that has no parts itself.
type Part struct {
	// Number is its section (RFC 3501 section 6.4.5), such as "1.2".
	Number string
	// Type is its media type in lower case, Name the parameter "name" of it.
	Type, Name string
	// Content is without its transfer encoding (RFC 3516).
	Content []byte
}

// Read returns the parts that BODYSTRUCTURE lists of a message, with what they hold.
// An attached message counts as one part.
func Read(tb testing.TB, message []byte) []Part {
	tb.Helper()
	s := open(tb, message)
	answer := s.ask(tb, "FETCH 1 (BODYSTRUCTURE)")
	_, structure, found := bytes.Cut(answer, []byte("FETCH (BODYSTRUCTURE "))
	if !found {
		tb.Fatalf("Dovecot answers without a structure:\n%s", answer)
	}
	parsed, err := (&reader{rest: structure}).list()
	if err != nil {
		tb.Fatalf("%v in\n%s", err, structure)
	}
	parts, err := leaves("", parsed)
	if err != nil {
		tb.Fatalf("%v in\n%s", err, structure)
	}
	for i := range parts {
		parts[i].Content = s.content(tb, parts[i].Number)
	}
	return parts
}

// session is a mailbox with one message.
type session struct {
	dir string
	as  *syscall.Credential
}

func open(tb testing.TB, message []byte) session {
	tb.Helper()
	as, err := testuser.Of("dovecot", "dovecot-imapd")
	if err != nil {
		tb.Fatal(err)
	}
	// The folders of testing are closed for other users.
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	s := session{dir, as}
	for _, folder := range []string{"Maildir/new", "Maildir/cur", "Maildir/tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	settings := fmt.Sprintf("protocols = imap\nbase_dir = %[1]s/run\nlog_path = %[1]s/log\nmail_location = maildir:%[1]s/Maildir\nfirst_valid_uid = 1\n", dir)
	for name, content := range map[string][]byte{"Maildir/new/1.1.test": message, "dovecot.conf": []byte(settings)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	if as == nil {
		return s
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(as.Uid), int(as.Gid))
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// ask returns what Dovecot answers to a command.
func (s session) ask(tb testing.TB, command string) []byte {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), program, "-c", filepath.Join(s.dir, "dovecot.conf"))
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "USER=test"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	cmd.Stdin = strings.NewReader("1 EXAMINE INBOX\r\n2 " + command + "\r\n3 LOGOUT\r\n")
	answer, err := cmd.Output()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		tb.Fatalf("Dovecot (apt-get install dovecot-imapd): %v\n%s", err, log)
	}
	if !bytes.Contains(answer, []byte("\r\n2 OK ")) {
		tb.Fatalf("Dovecot answers to %s:\n%s", command, answer)
	}
	return answer
}

var literal = regexp.MustCompile(`FETCH \(BINARY\[[0-9.]+\] ~?\{([0-9]+)\}\r\n`)

// content returns what a part holds.
func (s session) content(tb testing.TB, number string) []byte {
	tb.Helper()
	answer := s.ask(tb, "FETCH 1 (BINARY.PEEK["+number+"])")
	at := literal.FindSubmatchIndex(answer)
	if at == nil {
		if bytes.Contains(answer, []byte("] NIL)")) || bytes.Contains(answer, []byte(`] "")`)) {
			return nil
		}
		tb.Fatalf("Dovecot answers without the content of %s:\n%s", number, answer)
	}
	size, err := strconv.Atoi(string(answer[at[2]:at[3]]))
	if err != nil || size > len(answer)-at[1] {
		tb.Fatalf("Dovecot announces %s octets of %s:\n%s", answer[at[2]:at[3]], number, answer)
	}
	return answer[at[1] : at[1]+size]
}
