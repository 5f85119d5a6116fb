package service

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holderOf returns the process that listens at an address, "host:port" or "unix:/path". It
// is known to root, and to others of their own processes.
func holderOf(address string) (holder, bool) {
	socket := ""
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		socket = unixSocket(path)
	} else if _, port, err := net.SplitHostPort(address); err == nil {
		socket = tcpSocket(port)
	}
	if socket == "" {
		return holder{}, false
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != "socket:["+socket+"]" {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		pid, bad := strconv.Atoi(filepath.Base(process))
		if err == nil && bad == nil {
			return holder{pid: pid, name: strings.TrimSpace(string(name))}, true
		}
	}
	return holder{}, false
}

// The columns of /proc/net/tcp and /proc/net/unix, see proc_net(5), and the state of a
// socket that listens.
const (
	tcpLocal, tcpState, tcpInode = 1, 3, 9
	unixInode, unixPath          = 6, 7
	stateListen                  = "0A"
)

// tcpSocket is the inode of a socket that listens at a port, whatever its address is: of what
// stands in the way of another, that is enough to name it.
func tcpSocket(port string) string {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	suffix := fmt.Sprintf(":%04X", n)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for _, f := range rows(table) {
			if len(f) > tcpInode && f[tcpState] == stateListen && strings.HasSuffix(f[tcpLocal], suffix) {
				return f[tcpInode]
			}
		}
	}
	return ""
}

func unixSocket(path string) string {
	for _, f := range rows("/proc/net/unix") {
		if len(f) > unixPath && f[unixPath] == path {
			return f[unixInode]
		}
	}
	return ""
}

// rows are the lines of a table of /proc in columns; none where it cannot be read.
func rows(table string) [][]string {
	data, _ := os.ReadFile(table)
	var list [][]string
	for line := range strings.Lines(string(data)) {
		list = append(list, strings.Fields(line))
	}
	return list
}
