//go:build cgo && unix

// Command smimerelay-token uses the keys in a PKCS #11 token for smimerelay, which has no
// cgo. The gateway starts it and speaks certs/token/contract with it over standard input
// and output; or it listens on a unix socket, as another user than the gateway's.
//
// It reads the PIN from the file that the URI of the token names. The PIN is never sent to
// or by the gateway.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/certs/token/cryptoki"
)

const usage = `usage: smimerelay-token
       smimerelay-token --listen PATH URI

Uses the keys in a PKCS #11 token for smimerelay.

Without arguments it is started by smimerelay, for a pkcs11: URI in [identities] tokens.
With --listen it uses the token of URI for all who may connect to the unix socket PATH,
and smimerelay has tokens = ["unix:PATH"]. docs/tokens.md has more.

`

// The exit statuses, of sysexits.h.
const (
	exitUsage       = 64
	exitUnavailable = 69
	exitTemporary   = 75
)

// goodbye limits how long the sessions with the token may take to end.
const goodbye = time.Second

func main() {
	log.SetFlags(0)
	log.SetPrefix("smimerelay-token: ")
	listen := flag.String("listen", "", "")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flag.Parse()
	var err error
	switch {
	case *listen == "" && flag.NArg() == 0:
		err = standard()
	case *listen != "" && flag.NArg() == 1:
		err = serve(*listen, flag.Arg(0))
	default:
		flag.Usage()
		os.Exit(exitUsage)
	}
	if err != nil {
		log.Print(err)
		os.Exit(exitUnavailable)
	}
}

// standard speaks over standard input and output.
func standard() error {
	out, err := takeOutput()
	if err != nil {
		return err
	}
	return speak(os.Stdin, out, func(uri string) (*cryptoki.Token, error) {
		if uri == "" {
			return nil, contract.Errorf(contract.Refused, "no token is named")
		}
		return openToken(uri)
	})
}

// takeOutput moves standard output elsewhere, and standard error takes its place: what a
// library prints must not come between the responses.
func takeOutput() (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	if err := unix.Dup2(2, 1); err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "responses"), nil
}

func openToken(uri string) (*cryptoki.Token, error) {
	return cryptoki.Open(uri, cryptoki.Options{Hangs: func() {
		log.Print("a call of the library does not return: ending, to be started again")
		os.Exit(exitTemporary)
	}})
}

// speak serves one gateway with the token that open returns, and ends the sessions.
func speak(r io.Reader, w io.Writer, open func(uri string) (*cryptoki.Token, error)) error {
	var token *cryptoki.Token
	err := contract.Serve(r, w, func(uri string) (contract.Holder, error) {
		t, err := open(uri)
		if err != nil {
			return nil, err
		}
		token = t
		return t, nil
	})
	if token == nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- token.Close() }()
	select {
	case closing := <-done:
		return errors.Join(err, closing)
	case <-time.After(goodbye):
		return err
	}
}
