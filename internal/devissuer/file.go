package devissuer

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

const maxFile = 1 << 20 // bytes: a configuration or some keys

// readFile reads a file that the user named. It wants a regular one: a pipe or a
// device may have no end, or nobody who writes to it.
func readFile(name string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: is not a regular file", name)
	}
	file, err := os.Open(name) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, 0, err
	case len(data) > maxFile:
		return nil, 0, fmt.Errorf("%s: is larger than %d bytes", name, maxFile)
	case len(data) == 0:
		return nil, 0, fmt.Errorf("%s: is empty", name)
	default:
		return data, info.Mode(), nil
	}
}
