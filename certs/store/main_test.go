package store

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	for variable, child := range map[string]func(string) error{crashEnv: crashChild, writerEnv: writerChild} {
		url := os.Getenv(variable)
		if url == "" {
			continue
		}
		if err := child(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if s, err := server(); err == nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
