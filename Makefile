# smimerelay: `make help` lists the targets.

# What the tests drive, from Debian 12. gcc and libc6-dev are for the race detector, and
# with libssl-dev for the second reader of certificates (test/certificates).
# PACKAGE=COMMAND is there where the command is: Node.js of another source brings npm.
PACKAGES := gcc libc6-dev libssl-dev postfix slapd ldap-utils swaks libnet-ssleay-perl libsasl2-modules haproxy openssl gpgsm gpg-agent dirmngr libnss3-tools \
	softhsm2 bind9 bind9-utils unbound dovecot-lmtpd libbcmail-java openjdk-17-jdk-headless systemd postgresql \
	python3 iproute2=ip nodejs=node npm=npm libmime-tools-perl dovecot-imapd lintian apparmor prometheus=promtool chromium \
	rpm groff-base=groff mandoc zsh fish

export GOTOOLCHAIN := local
GO := go

.PHONY: help build build-token install deb rpm release screenshots run test test-crash soak unit e2e readers guide fips deps lint portable bench bench-doors bench-relay bench-growth fuzz fuzz-inbound public-roots corpora cases certificates post-quantum image

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## build ./bin/smimerelay, static
	CGO_ENABLED=0 $(GO) build -trimpath -tags netgo,osusergo -o bin/smimerelay ./cmd/smimerelay

build-token: ## build ./bin/smimerelay-token, which uses PKCS #11 tokens for it, by cgo
	CGO_ENABLED=1 $(GO) build -buildmode pie -trimpath -o bin/smimerelay-token ./cmd/smimerelay-token

DESTDIR ?=
PREFIX ?= /usr/local

install: build ## install the binary, units, manual pages and completions below DESTDIR and PREFIX (/usr/local)
	install -D -m 755 bin/smimerelay $(DESTDIR)$(PREFIX)/bin/smimerelay
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/smimerelay.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 docs/smimerelay.toml.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/sysusers.d systemd/sysusers.d/smimerelay.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/tmpfiles.d systemd/tmpfiles.d/smimerelay.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in smimerelay.service smimerelay.socket smimerelay-inbound.socket; do \
		sed 's|/usr/bin/smimerelay|$(PREFIX)/bin/smimerelay|' systemd/$$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	bin/smimerelay completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/smimerelay
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	bin/smimerelay completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_smimerelay
	bin/smimerelay completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/smimerelay.fish
	install -d $(DESTDIR)/etc/apparmor.d
	sed 's|/usr/bin/smimerelay|$(PREFIX)/bin/smimerelay|' systemd/apparmor.d/smimerelay >$(DESTDIR)/etc/apparmor.d/smimerelay
	[ -e $(DESTDIR)/etc/smimerelay/config.toml ] || install -D -m 640 config.toml.example $(DESTDIR)/etc/smimerelay/config.toml

deb: ## make ./dist/*.deb
	packaging/build deb

rpm: ## make ./dist/*.rpm
	packaging/build rpm

image: ## make ./dist/*.image.tar, a container image, without a daemon
	packaging/image

release: ## make all packages, the container image and lists of their modules in ./dist, with checksums
	rm -rf dist
	packaging/build deb
	packaging/build deb smimerelay-pkcs11
	packaging/build rpm
	packaging/build rpm smimerelay-pkcs11
	packaging/image
	cd dist && sha256sum -- * >SHA256SUMS

screenshots: ## pictures of all pages of the console in ./screenshots, by Chromium
	@test/scripts/deps chromium
	@test/console/install
	SCREENSHOTS=$(CURDIR)/screenshots $(GO) test -count=1 ./test/console -run Accessible

run: build ## build, set up ./demo, send messages through it and show what became of them
	bin/smimerelay demo --dir demo

TALLY := $(CURDIR)/.cache/tally

# What fails soon comes first, the long runs against real servers come last.
test: export TALLY := $(TALLY)
test: deps ## everything: unit tests with the race detector, each fuzz target for 5 s, real servers
	@rm -f $(TALLY)
	@$(MAKE) --no-print-directory unit
	test/scripts/fuzz 5s
	@$(MAKE) --no-print-directory e2e readers
	@$(GO) run ./test/events -total

deps: # install what the tests need, or say what is missing
	@test/scripts/deps $(PACKAGES)
	@test/readers/install
	@test/console/install
	@test/scripts/exim

unit: # every package but the whole-system tests
	test/scripts/run ./test/arch
	test/scripts/run -race -shuffle=on -timeout 20m $$($(GO) list ./... | grep -vE '/test(/arch|/memory|/console)?$$')

e2e: # the whole-system tests
	test/scripts/run -shuffle=on -timeout 20m -count=1 ./test/memory # alone: what a process takes depends on what runs beside it
	test/scripts/run -shuffle=on -timeout 20m -count=1 ./test ./test/console

readers: # structures around a signature, as four other mail readers show them
	READERS=200000 test/scripts/run -timeout 20m -count=1 ./test/readers

guide: ## type the commands of docs/guide.md in a fresh Debian, from the package to encrypted mail (as root, some minutes)
	$(GO) test -tags guide ./test/guide -count=1 -timeout 30m

FIPS := ./smime/... ./certs/store ./relay/returnpath

fips: ## the tests of the engine and the store with GODEBUG=fips140=on, and with =only but for what is not approved
	GODEBUG=fips140=on $(GO) test -count=1 $(FIPS)
	GODEBUG=fips140=only $(GO) test -count=1 -skip "$$(test/scripts/notapproved)" $(FIPS)

# The tools are in a module of their own, so that none of what they need is in go.mod.
TOOL := $(GO) tool -modfile=test/tools/go.mod

lint: ## gofmt, the linters of .golangci.yml, dead code, imports, words, SMTP codes, log attributes
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) test -count=1 ./test/arch
	$(TOOL) golangci-lint run ./...
	test/scripts/deadcode

PORTABLE := ./smime/... ./cmd/smimerelay

# River's driver for SQLite needs 64 bits, and with it the queue.
portable: ## go vet for the systems and processors other than this one
	GOOS=linux GOARCH=arm64 $(GO) vet ./cmd/... ./service/... ./smime/...
	GOOS=linux GOARCH=386 $(GO) vet ./smime/... ./enforce/... ./certs/...
	GOOS=darwin $(GO) vet $(PORTABLE)
	GOOS=windows $(GO) vet $(PORTABLE)

bench: ## this engine beside libcrypto and the bare primitives, then the packages' benchmarks
	@test/scripts/deps gcc libc6-dev libssl-dev
	@mkdir -p bin
	cc -O2 -Wall -Wextra -o bin/libcrypto-cms test/bench/libcrypto/cms.c -lcrypto
	$(GO) run ./test/bench bin/libcrypto-cms
	$(GO) test -run '^$$' -bench . -benchmem ./...

MESSAGES ?= 1000

bench-doors: ## what a message costs at each listener, beside a bare milter, go-milter, OpenDKIM and Postfix (as root)
	@test/scripts/deps gcc libc6-dev postfix openssl opendkim
	$(GO) test ./test/bench/listeners -run Table -table -messages $(MESSAGES) -count=1 -timeout 120m -v

WAITING ?= 100000

bench-relay: ## messages a second through the relay and its queue, beside Postfix on the same disk, with an empty queue and with WAITING (100,000) messages waiting, and what the history costs (as root)
	@test/scripts/deps gcc libc6-dev postfix openssl
	$(GO) test ./test/bench/listeners -run HistoryCost -history -messages $(MESSAGES) -count=1 -timeout 60m -v
	$(GO) test ./test/bench/listeners -run 'TestRelay$$' -relay -messages $(MESSAGES) -waiting $(WAITING) -count=1 -timeout 120m -v

bench-growth: ## how cost grows with size, recipients, sessions, certificates and waiting messages (as root)
	@test/scripts/deps gcc libc6-dev postfix openssl
	$(GO) test ./test/bench/listeners -run Growth -growth -count=1 -timeout 60m -v

FUZZTIME ?= 60s

INBOUND_INPUTS ?= 10000000

# What certs/publicroots/mozilla.pem is made of: mozilla/certdata.txt in the source
# package of Debian ("apt-get source ca-certificates=VERSION").
CERTDATA ?= certdata.txt
CERTDATA_SOURCE ?= mozilla/certdata.txt of Debian's ca-certificates 20250419
CERTDATA_DATE ?= 2025-04-19

CRASH_ROUNDS ?= 200

test-crash: ## kill -9 the queue, and the gateway with it, CRASH_ROUNDS (200) times under load, with deliveries, held mail that is released and several copies from a milter, on SQLite and on PostgreSQL: nothing may be lost (as root)
	@test/scripts/deps gcc libc6-dev postfix postgresql
	CRASH_ROUNDS=$(CRASH_ROUNDS) $(GO) test -run 'Crash$$' -v -count=1 -timeout 180m ./relay/queue ./test/crash

SOAK ?= 100000

soak: ## SOAK (100,000) messages through the queue, on SQLite and on PostgreSQL: memory and goroutines stay, and how soon the first of as many that waited is delivered
	$(GO) test -run 'TestSoak$$' -v -count=1 -timeout 120m ./relay/queue -soak $(SOAK)

fuzz: ## each fuzz target for FUZZTIME (60s)
	test/scripts/fuzz $(FUZZTIME)

public-roots: ## the list of public authorities from CERTDATA; set CERTDATA_SOURCE and CERTDATA_DATE for another file
	$(GO) run ./cmd/smimerelay trust update --from $(CERTDATA) --source "$(CERTDATA_SOURCE)" --date $(CERTDATA_DATE) --output certs/publicroots/mozilla.pem

fuzz-inbound: ## INBOUND_INPUTS (10,000,000) hostile messages through the inbound rules, with CORPORA as seeds; the last line says how many
	$(GO) test -toolexec '$(CURDIR)/test/scripts/instrument' -run '^$$' -fuzz '^FuzzInbound$$' -fuzztime $(INBOUND_INPUTS)x -fuzzminimizetime 20x -timeout 0 ./relay/gateway

certificates: ## our certificate reader beside libcrypto's, on 100,000 mutated certificates
	$(GO) test -count=1 -v ./test/certificates -certificates 100000

post-quantum: ## ML-DSA and ML-KEM with OpenSSL 3.6 of Debian unstable, which is unpacked and not installed
	OPENSSL36=$$(test/scripts/openssl36 $${TMPDIR:-/tmp}/smimerelay-openssl36) $(GO) test -count=1 -tags openssl36 -run TestPostQuantum -v ./test

corpora: ## the verdicts on foreign test material in CORPORA, a line a file
	$(GO) test -count=1 -run Corpora -v ./... | grep -E '^(---|    ---|ok|FAIL|corpora:)|corpora' || true

cases: build ## the inputs in CASES that once went wrong, a line a command (as root)
	$(GO) run ./test/cases
