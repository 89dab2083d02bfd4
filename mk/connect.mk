# The other end: `bridge connect`.
LATE_PARTS += connect-systems keyring-test

.PHONY: connect-systems connect-fuzz keyring-test
connect-systems: ## bridge connect without the server, for desktops, into dist/connect/
	@for at in linux/amd64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
	  out=dist/connect/$${at%/*}-$${at#*/}/bridge; [ $${at%/*} != windows ] || out=$$out.exe; \
	  CGO_ENABLED=0 GOOS=$${at%/*} GOARCH=$${at#*/} go build -trimpath -ldflags='-s -w' -o $$out ./bridge/connect || exit 1; \
	  GOOS=$${at%/*} GOARCH=$${at#*/} go vet ./bridge/internal/connect/... || exit 1; echo $$out; \
	done

connect-fuzz: ## Fuzz the readers of what a server and its authorization server send, 30 s each
	go test -run '^$$' -fuzz FuzzEvents -fuzztime 30s ./bridge/internal/connect
	go test -run '^$$' -fuzz FuzzTools -fuzztime 30s ./bridge/internal/connect
	go test -run '^$$' -fuzz FuzzChallenge -fuzztime 30s ./bridge/internal/connect/signin
	go test -run '^$$' -fuzz FuzzMetadata -fuzztime 30s ./bridge/internal/connect/signin

# A bus, a home and a keyring of their own; the password is the keyring's.
keyring-test: ## Tokens sealed with a key of a real keyring: gnome-keyring, which speaks the Secret Service
	$(call install_missing,gnome-keyring dbus-daemon)
	go vet -tags keyring ./bridge/internal/connect/signin
	home=$$(mktemp -d) && trap 'rm -rf $$home' EXIT && \
	  XDG_DATA_HOME=$$home XDG_RUNTIME_DIR=$$home dbus-run-session -- sh -ec ' \
	    printf test | gnome-keyring-daemon --unlock --components=secrets >/dev/null; \
	    go test -tags keyring -run TestTheSystemsKeyring -count=1 -v ./bridge/internal/connect/signin'
