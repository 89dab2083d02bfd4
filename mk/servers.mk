LATE_PARTS += servers-test

SERVERS := .cache/servers

.PHONY: servers-test
servers-test: $(SERVERS)/npm/.installed $(SERVERS)/venv/.installed ## Real servers of npm and PyPI behind the bridge, in each era
	go test -tags servers -count=1 -timeout 8m -v ./test/servers

$(SERVERS)/npm/.installed: test/servers/package.json
	mkdir -p $(@D) && cp $< $(@D)/package.json
	npm install --prefix $(@D) --no-audit --no-fund --loglevel=error
	touch $@

$(SERVERS)/venv/.installed: test/servers/requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
