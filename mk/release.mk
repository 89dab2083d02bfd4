CYCLONEDX := .cache/tools/cyclonedx-gomod

$(CYCLONEDX): test/tools/cyclonedx.mod
	go build -trimpath -modfile=$< -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

.PHONY: release release-test
release: $(NFPM) $(CYCLONEDX) ## What a release page holds, into dist/release: archives, .deb, SBOM, checksums
	NFPM=$(NFPM) CYCLONEDX=$(CYCLONEDX) deploy/release/release.sh dist/release

release-test: release ## The release is whole: checksums, programs that start, an SBOM with the modules
	sh test/package/release.sh dist/release

