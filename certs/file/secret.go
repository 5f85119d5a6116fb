package file

import (
	"io/fs"
	"os"
	"strings"
)

// ReadSecret reads a password or a PIN: the text of a file, without the line end
// behind it and without the byte order mark of a Windows editor. The file must not
// be readable by others. The file mode allows
// to tell later whether it has changed.
func ReadSecret(file string) (string, fs.FileInfo, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", nil, err
	}
	data, err := ReadPrivate(file, 4096)
	if err != nil {
		return "", nil, err
	}
	return strings.TrimRight(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n"), info, nil
}
