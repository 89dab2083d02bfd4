# applied.sh, read by the scripts here: apply_twice OVERLAY REPORT fails where a
# second apply changes what the first has made, and leaves what it said in REPORT.
# kubectl calls a PodDisruptionBudget configured whatever it finds, since its
# selector is replaced and never compared; that nothing came of it the versions say.
versions() {
	kubectl get --output 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}{"\n"}{end}' -k "$1"
}

apply_twice() {
	kubectl apply -k "$1" || return 1
	versions "$1" >"$2.before"
	kubectl apply -k "$1" >"$2"
	versions "$1" | diff "$2.before" - || { echo "$1: the second apply changed what the first had made"; return 1; }
	! grep -v -e unchanged -e '^poddisruptionbudget' "$2" || { echo "$1: the second apply finds a difference"; return 1; }
}
