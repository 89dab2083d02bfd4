TEST_PARTS += units-test

.PHONY: units-test
units-test: packaged ## Check the systemd units: verify, and how exposed they are
	sh test/units/run.sh
