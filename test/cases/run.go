package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// atOnce is how many cases run at once: those on the wire mostly wait.
const atOnce = 4

// result is what became of a check; problem is "" if it gave what is expected.
type result struct {
	check   check
	problem string
	output  string
}

// runAll runs the checks of each case in their order, several cases at once.
func runAll(checks []check, dir, binary string) <-chan result {
	results := make(chan result)
	cases := make(chan []check)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for c := range cases {
				runCase(c, dir, binary, results)
			}
		})
	}
	go func() {
		for _, c := range grouped(checks) {
			cases <- c
		}
		close(cases)
		workers.Wait()
		close(results)
	}()
	return results
}

// grouped splits the checks by case: those of one case may build on each other.
func grouped(checks []check) [][]check {
	var cases [][]check
	for i, c := range checks {
		if i == 0 || checks[i-1].Case != c.Case {
			cases = append(cases, nil)
		}
		cases[len(cases)-1] = append(cases[len(cases)-1], c)
	}
	return cases
}

// runCase runs the checks of one case in a copy of its folder.
func runCase(checks []check, dir, binary string, results chan<- result) {
	work, err := os.MkdirTemp("", "case")
	if err == nil {
		defer os.RemoveAll(work)
		err = prepare(work, dir, binary, checks[0])
	}
	for _, c := range checks {
		r := result{check: c}
		if err != nil {
			r.problem = err.Error()
		} else {
			r.problem, r.output = c.run(work, binary)
		}
		results <- r
	}
}

// prepare copies the case, and for one on the wire the lab that it imports, and
// puts the program where a shell finds it.
func prepare(work, dir, binary string, c check) error {
	if err := os.CopyFS(filepath.Join(work, c.Case), os.DirFS(filepath.Join(dir, c.Case))); err != nil {
		return err
	}
	if c.wire() {
		if err := os.CopyFS(filepath.Join(work, "lab"), os.DirFS(filepath.Join(dir, "lab"))); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(work, "bin"), 0o755); err != nil {
		return err
	}
	return os.Symlink(binary, filepath.Join(work, "bin", "smimerelay"))
}

// run runs one command and returns what is wrong with it, and what it printed.
func (c check) run(work, binary string) (problem, output string) {
	limit := time.Minute
	args := []string{"bash", "-c", c.Run}
	if c.wire() {
		limit = 5 * time.Minute
		args = append([]string{"unshare", "--net", "--", "bash", "-c", `ip link set lo up && exec "$@"`, "case"}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = filepath.Join(work, c.Case)
	cmd.Env = append(os.Environ(), "GW="+binary, "SRC="+root(), "PATH="+filepath.Join(work, "bin")+":"+os.Getenv("PATH"))
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err.Error(), string(out)
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("not done within %v", limit), string(out)
	}
	if problem, err = c.judge(string(out), cmd.ProcessState.ExitCode()); err != nil {
		problem = err.Error()
	}
	return problem, string(out)
}

// root is the project's root, where the lab finds the schema of its directories.
func root() string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "."
	}
	return strings.TrimSpace(string(out))
}
