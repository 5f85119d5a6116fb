package main

import (
	"github.com/alecthomas/kong"

	"github.com/smimerelay/smimerelay/cmd/smimerelay/completion"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (*completionCmd) examples() string {
	return "smimerelay completion bash > /etc/bash_completion.d/smimerelay\n" +
		"smimerelay completion fish > ~/.config/fish/completions/smimerelay.fish"
}

// Run prints what a shell needs to complete the command line.
func (c *completionCmd) Run(a *app, k *kong.Kong) error {
	return completion.Write(a.stdout, c.Shell, k)
}
