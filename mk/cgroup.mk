LATE_PARTS += cgroup-test

.PHONY: cgroup-test
cgroup-test: ## The bounds of children, on a kernel with control groups of version 2 that runs as a program
	$(if $(filter x86_64,$(shell uname -m)),$(call install_missing,user-mode-linux))
	sh test/cgroup/run.sh
