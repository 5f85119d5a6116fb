package routes

import (
	"fmt"
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// program is the binary that is tested.
var program string

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &program)) }

// passing is the configuration of a relay that takes all mail of this host and protects none; the
// routes follow.
func passing(listen int) string {
	return fmt.Sprintf(`hostname = "gw.example.org"
domains = ["example.org"]
[trust]
revocation = "off"
[[listener]]
name = "relay"
protocol = "smtp"
address = "127.0.0.1:%d"
networks = ["127.0.0.1/32"]
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`, listen)
}
