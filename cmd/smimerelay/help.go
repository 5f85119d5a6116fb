package main

import "github.com/alecthomas/kong"

type helpCmd struct {
	Verb []string `arg:"" optional:"" help:"Verb, such as: cert import."`
}

func (*helpCmd) examples() string { return "smimerelay help cert import" }

// Run prints the help of a verb, or that of the program: parsing ends there. It goes on
// only where there is no such verb.
func (c *helpCmd) Run(k *kong.Kong) error {
	_, err := k.Parse(append(c.Verb, "--help"))
	return callError(err)
}
