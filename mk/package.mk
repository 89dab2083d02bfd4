TEST_PARTS += package-test

NFPM := .cache/tools/nfpm
DEB ?= dist/gatehouse.deb

$(NFPM): test/tools/nfpm.mod
	go build -trimpath -modfile=test/tools/nfpm.mod -o $@ github.com/goreleaser/nfpm/v2/cmd/nfpm

.PHONY: install uninstall deb package-test
install: build ## Lay binaries, units and configuration (DESTDIR, PREFIX=/usr/local)
	DESTDIR="$(DESTDIR)" PREFIX="$(or $(PREFIX),/usr/local)" deploy/package/install.sh

uninstall: ## Take away what install laid; edited configuration stays
	DESTDIR="$(DESTDIR)" PREFIX="$(or $(PREFIX),/usr/local)" deploy/package/uninstall.sh

deb: build $(NFPM) ## Build the Debian package into dist/
	mkdir -p $(dir $(DEB)) && NFPM=$(NFPM) deploy/package/deb.sh $(DEB)

package-test: build $(NFPM) ## Install and remove both ways, on a Debian tree
	CACHE=$(GATEHOUSE_CACHE) NFPM=$(NFPM) sh test/package/run.sh
