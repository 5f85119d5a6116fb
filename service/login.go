package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// tokenTime is how long a program may take to print a token.
const tokenTime = 30 * time.Second

// login is what a route shows of itself to its hosts; nil for nothing.
func login(r *config.Route) *smtpclient.Auth {
	if r.Auth == "" {
		return nil
	}
	a := &smtpclient.Auth{Mechanism: smtpclient.Mechanism(strings.ToUpper(r.Auth)), User: r.User}
	if len(r.TokenCommand) > 0 {
		a.Secret = func(ctx context.Context) (string, error) { return tokenOf(ctx, r.TokenCommand) }
	} else {
		a.Secret = func(context.Context) (string, error) { return secretIn(r.SecretFile) }
	}
	return a
}

// secretIn reads a file with one line.
func secretIn(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return oneLine(data, fmt.Sprintf("file %q", path))
}

// tokenOf runs a program that prints a token. What it says on standard error is for the
// log, and what it prints is not.
func tokenOf(ctx context.Context, command []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: the administrator names the program
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("token_command %q: %w: %.200s", command[0], err, strings.TrimSpace(problems.String()))
	}
	return oneLine(out.Bytes(), fmt.Sprintf("token_command %q", command[0]))
}

func oneLine(data []byte, from string) (string, error) {
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return "", errors.New(from + ": not one line of text")
	}
	return text, nil
}

// addresses parses what the configuration has checked.
func addresses(texts []string) []netip.Addr {
	var list []netip.Addr
	for _, t := range texts {
		if a, err := netip.ParseAddr(t); err == nil {
			list = append(list, a)
		}
	}
	return list
}
