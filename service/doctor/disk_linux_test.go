package doctor_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/smimerelay/smimerelay/certs/store"
)

// disk makes a folder that is a disk of its own, with a store on it, and then one that is full
// or mounted read-only. Only root can.
func (s *seed) disk(state, name string) {
	s.Helper()
	folder := filepath.Join(s.dir, name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		s.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" {
			s.Fatalf("mount: %v", err)
		}
		s.Skipf("a disk for the test cannot be mounted: %v", err)
	}
	s.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			s.Errorf("unmount: %v", err)
		}
	})
	opened, err := store.Open(s.Context(), store.Config{URL: filepath.Join(folder, "store.db")})
	if err == nil {
		err = opened.Close()
	}
	if err != nil {
		s.Fatal(err)
	}
	if state == "full" {
		fill(s, filepath.Join(folder, "filler"))
		return
	}
	if err := syscall.Mount("", folder, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		s.Fatal(err)
	}
}

// fill writes a file until there is no room for more.
func fill(s *seed, path string) {
	s.Helper()
	f, err := os.Create(path)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			s.Fatal(err)
		}
	}
}
