"""The queue's disk fills up during deliveries, stays full for 16 s, and is freed.

The queue lies on a tmpfs; the next hop takes 5 s for each message. Run it in a mount
namespace of its own."""
import socketserver, threading, urllib.request
from lab import *

MESSAGES, DISK = 12, L + "/disk"
taken = []


class Slow(socketserver.StreamRequestHandler):
    """A next hop that answers the end of DATA after 5 s."""

    def handle(self):
        self.wfile.write(b"220 slow\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                time.sleep(5)
                taken.append(re.search(rb"Message-ID: (\S+)", text).group(1))
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def ready():
    try:
        return urllib.request.urlopen("http://127.0.0.1:22690/readyz", timeout=5).status
    except urllib.error.HTTPError as e:
        return "%d %s" % (e.code, e.read().decode())


os.makedirs(DISK)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "none", DISK], check=True)
threading.Thread(target=Server(("127.0.0.1", 22700), Slow).serve_forever, daemon=True).start()
text = crlf("From: alice@corp.example\nTo: eve@outside.example\nSubject: s\nDate: Mon, 1 Dec 2025 10:00:00 +0000\nMessage-ID: <%d@corp.example>\n\nx\n")


def configured(original):
    """Puts the queue on the small disk: the lab has it beside the configuration."""
    def start(self):
        path = self.dir + "/config.toml"
        with open(path) as f:
            lines = f.read().replace('path="queue.db"', 'path="%s/queue.db"' % DISK)
        with open(path, "w") as f:
            f.write(lines)
        original(self)
    return start


Gateway.start = configured(Gateway.start)
gw = Gateway(nexthop="127.0.0.1:22700", rules='[[rule]]\nname="default"\nsign="never"\nencrypt="never"\n')
accepted = 0
for n in range(MESSAGES):
    reply = send("relay-out", "alice@corp.example", "eve@outside.example", text % n, show=False)[-1]
    accepted += reply.startswith("250")
print("accepted:", accepted, "of", MESSAGES)
time.sleep(1)
try:
    with open(DISK + "/fill", "wb", buffering=0) as f:
        while True:
            f.write(b"\0" * 65536)
except OSError:
    pass
time.sleep(8)
print("readyz while full:", ready())
time.sleep(8)
os.unlink(DISK + "/fill")
freed = time.time()


def waiting():
    out = gw.run("queue", "list", "--config", "config.toml", "--json").stdout
    return len(json.loads(out or b"[]") or [])


while time.time() < freed + 60 and (waiting() or ready() != 200):
    time.sleep(1)
print("a minute later at most: %d waiting, readyz %s" % (waiting(), ready()))
print("lost:", MESSAGES - len(set(taken)))
print("twice:", len(taken) - len(set(taken)))
