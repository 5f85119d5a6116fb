package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
)

// candidate is a file that was opened. Its outcome has a Result only where it does
// not go into the store.
type candidate struct {
	file    store.File
	outcome Outcome
	size    int   // of the file, octets
	room    int64 // that it takes of maxOpen, to be released
}

// judge completes the outcome with what the store did.
func (c *candidate) judge(done store.ImportedFile) {
	switch {
	case done.Err != nil:
		c.refuse(done.Err)
	case done.New+done.Changed > 0:
		c.outcome.Result, c.outcome.New = Added, done.New+done.Changed
	default:
		c.outcome.Result = Known
	}
}

func (c *candidate) refuse(err error) {
	c.outcome = Outcome{File: c.outcome.File, Result: Refused, Reason: reason(err)}
}

// reason is the text of an error without the name of the file, which stands
// beside it.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Sprintf("cannot be read: %v; check the file and which user you are", e.Err)
	}
	return err.Error()
}

// open opens files with so many workers, and returns them in order, as far as there is
// room. The channel is closed when all workers have ended: after the last file, or soon
// after ctx.
func open(ctx context.Context, cfg Config, room *semaphore.Weighted, files []string) <-chan candidate {
	workers := max(1, cfg.Workers)
	slots := make(chan chan candidate, 4*workers) // in order; each is filled by a worker
	free := make(chan struct{}, workers)
	go func() {
		defer close(slots)
		for _, f := range files {
			slot := make(chan candidate, 1)
			select {
			case <-ctx.Done():
				return
			case free <- struct{}{}:
			}
			need := roomFor(f)
			if room.Acquire(ctx, need) != nil {
				return // ctx has ended
			}
			go func() {
				defer func() { <-free }()
				slot <- openFile(ctx, cfg, f, need)
			}()
			slots <- slot
		}
	}()
	out := make(chan candidate)
	go func() {
		defer close(out)
		for slot := range slots {
			c := <-slot
			select {
			case out <- c:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// roomFor returns what a file takes of maxOpen. One that cannot be read takes nothing.
func roomFor(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return min(info.Size(), maxOpen)
}

func openFile(ctx context.Context, cfg Config, name string, room int64) candidate {
	c := candidate{outcome: Outcome{File: name}, room: room}
	if err := c.read(ctx, cfg, name); err != nil {
		c.refuse(err)
	}
	return c
}

func (c *candidate) read(ctx context.Context, cfg Config, name string) error {
	data, err := file.ReadFile(name)
	if err != nil {
		return err
	}
	c.size = len(data)
	c.file.Digest = sha256.Sum256(data)
	if known, err := c.isKnown(ctx, cfg, data); err != nil {
		return err
	} else if known {
		return file.CheckPrivate(name)
	}
	password, err := file.PasswordFor(name, cfg.Password)
	if err != nil {
		return err
	}
	contents, err := file.ParseContents(data, password)
	if errors.Is(err, file.ErrWrongPassword) {
		return wrongPassword(err, password)
	}
	if err != nil {
		return err
	}
	if err := admit(name, contents, password, cfg.Force); err != nil {
		return err
	}
	c.file.Identities, c.file.Certificates = contents.Identities, contents.Certificates
	c.outcome.Identities, c.outcome.Certificates = len(contents.Identities), len(contents.Certificates)
	for _, id := range contents.Identities {
		c.outcome.Leaves = append(c.outcome.Leaves, id.Certificate)
	}
	for _, cert := range contents.Certificates {
		if !cert.IsCA {
			c.outcome.Leaves = append(c.outcome.Leaves, cert)
		}
	}
	for _, s := range contents.Skipped {
		c.outcome.Skipped = append(c.outcome.Skipped, s.Error())
	}
	return nil
}

// isKnown reports whether the store has all of a file with private keys, and then
// says so in the outcome. Other files are opened faster than looked up.
func (c *candidate) isKnown(ctx context.Context, cfg Config, data []byte) (bool, error) {
	if !file.MayHoldKeys(data) {
		return false, nil
	}
	identities, certificates, err := cfg.Store.Imported(ctx, c.file.Digest)
	if err != nil || identities == 0 {
		return false, err
	}
	c.outcome.Result, c.outcome.Identities, c.outcome.Certificates = Known, identities, certificates
	return true, nil
}

func wrongPassword(err error, password string) error {
	if password == "" {
		return errors.New("a password is required; put it into NAME.password next to the file, or use --password-file")
	}
	return fmt.Errorf("%w; put the right one into NAME.password next to the file, or use --password-file", err)
}

// admit refuses private keys that others could have read: by the file's mode, or
// because its password protects nothing.
func admit(name string, c *file.Contents, password string, force bool) error {
	if len(c.Identities) == 0 {
		return nil
	}
	if err := file.CheckPrivate(name); err != nil {
		return err
	}
	if !c.Protected || force {
		return nil
	}
	if err := file.CheckPassword(password); err != nil {
		return fmt.Errorf("%w; re-encrypt the file with a longer one, or accept it with --force", err)
	}
	return nil
}
