package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files returns the files that an import reads: path itself, or all below the
// folder path whose names end like one of identities or certificates, in order.
// Hidden ones are passed over, and links to folders are not followed.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != path && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case hasSuffix(name, identitySuffixes) || hasSuffix(name, certificateSuffixes):
			if isFile(name, d) {
				files = append(files, name)
			}
		}
		return nil
	})
	return files, err
}

func hasSuffix(name string, suffixes []string) bool {
	return slices.Contains(suffixes, strings.ToLower(filepath.Ext(name)))
}

// isFile reports whether an entry of a folder is a file, or a link to one. Pipes
// and devices are not: to read them could take for ever.
func isFile(name string, d fs.DirEntry) bool {
	if d.Type()&fs.ModeSymlink == 0 {
		return d.Type().IsRegular()
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// ReadFile reads a file of certificates or identities. One that is larger than any
// of these is refused.
func ReadFile(path string) ([]byte, error) { return readLimited(path, maxFile) }

// PasswordPath returns where the password of a file is: NAME.password beside NAME.p12.
func PasswordPath(file string) string {
	return strings.TrimSuffix(file, filepath.Ext(file)) + ".password"
}

// PasswordFor returns the password of a file: what is in PasswordPath, or else common.
func PasswordFor(file, common string) (string, error) {
	own := PasswordPath(file)
	if _, err := os.Stat(own); err != nil {
		return common, nil
	}
	password, _, err := ReadSecret(own)
	return password, err
}
