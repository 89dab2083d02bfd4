TEST_PARTS += package-test

NFPM := .cache/tools/nfpm
DEB ?= dist/gatehouse.deb

$(NFPM): test/tools/nfpm.mod
	go build -trimpath -modfile=test/tools/nfpm.mod -o $@ github.com/goreleaser/nfpm/v2/cmd/nfpm

.PHONY: install uninstall deb package-test packaged
packaged: build ## Build what a package holds beside the two programs into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/gatehouse-demo ./deploy/demo
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/gatehouse-doctor ./test/doctor
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/gatehouse-check ./deploy/check

install: packaged ## Lay binaries, units and configuration (DESTDIR, PREFIX=/usr/local)
	DESTDIR="$(DESTDIR)" PREFIX="$(or $(PREFIX),/usr/local)" deploy/package/install.sh

uninstall: ## Take away what install laid; edited configuration stays
	DESTDIR="$(DESTDIR)" PREFIX="$(or $(PREFIX),/usr/local)" deploy/package/uninstall.sh

deb: packaged $(NFPM) ## Build the Debian package into dist/
	mkdir -p $(dir $(DEB)) && NFPM=$(NFPM) deploy/package/deb.sh $(DEB)

package-test: packaged $(NFPM) ## Install and remove both ways, on a Debian tree
	CACHE=$(GATEHOUSE_CACHE) NFPM=$(NFPM) sh test/package/run.sh
