# Looks at a deployed gate from outside.
.PHONY: doctor doctor-test
doctor: ## check a deployed gate from outside (URL=https://mcp.example.com, DOCTOR_FLAGS="-token-file F -host")
	@go run ./test/doctor $(DOCTOR_FLAGS) $(URL)

doctor-test: ## the doctor on a good gate and on gates with one thing broken
	go test -race ./test/doctor

TEST_PARTS += doctor-test
