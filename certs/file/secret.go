package file

import (
	"io/fs"
	"os"
	"strings"

	"github.com/smimerelay/smimerelay/internal/pemfile"
)

// ReadSecret reads a password or a PIN: the SecretText of a file, which must not be
// readable by others. The file mode allows to tell later whether it has changed.
func ReadSecret(file string) (string, fs.FileInfo, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", nil, err
	}
	data, err := ReadPrivate(file, 4096)
	if err != nil {
		return "", nil, err
	}
	return SecretText(data), info, nil
}

// SecretText returns the password in the contents of a file: without the line end behind
// it and the byte order mark of a Windows editor, as UTF-8 where it was UTF-16.
func SecretText(data []byte) string {
	for _, mark := range []string{"\uFEFF", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(string(data), mark) {
			data = pemfile.Text(data)
			break
		}
	}
	return strings.TrimRight(string(data), "\r\n")
}
