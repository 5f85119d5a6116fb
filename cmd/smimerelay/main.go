// Command smimerelay is an S/MIME gateway for mail: it signs, encrypts, verifies
// and decrypts in the mail path, as its rules say, and does the same offline on
// one message.
//
// There is one file a verb here, and each is wiring only: what is done is in the
// packages. Results go to standard output; what went wrong goes to standard
// error as one line that says what, where and what to do.
package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := forbidCore(); err != nil {
		fmt.Fprintf(os.Stderr, "smimerelay: warning: a crash may leave private keys in a core file: %v\n", err)
	}
	os.Exit(run(os.Args[1:], &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, clock: time.Now,
	}))
}

// app is what the verbs share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	clock          func() time.Time
}
