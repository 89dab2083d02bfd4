#!/bin/sh
# Runs the tests of the children's control groups on a kernel that has version 2
# with all its controllers, which the machine's own may not: Linux as a program
# (user-mode Linux, a Debian package). It boots from this machine's files, read-only.
set -eu
fail() { echo "cgroup: $*" >&2; exit 1; }
[ "$(uname -m)" = x86_64 ] || { echo "cgroup: Debian has user-mode Linux for x86-64 alone: not run"; exit 0; }
command -v linux.uml >/dev/null || fail "user-mode-linux is missing: apt-get install user-mode-linux"
dir=$(mktemp -d /tmp/ghc-XXXXXX)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go test -c -o "$dir/tests" ./bridge/internal/sandbox
linux=linux.uml
few=
# A processor with AMX has more registers than this Linux has room for. It then
# keeps those of SSE alone, so no program must use others.
if grep -qw amx_tile /proc/cpuinfo; then
	CGO_ENABLED=0 go build -o "$dir/elder" ./test/cgroup/elder
	linux="$dir/elder linux.uml"
	few="GODEBUG=cpu.avx=off,cpu.avx2=off,cpu.avx512f=off \
		GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX_Fast_Unaligned_Load"
fi
cat >"$dir/init" <<END
#!/bin/sh
mount -t proc none /proc
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /mnt
echo "cgroup: Linux \$(uname -r), controllers \$(cat /sys/fs/cgroup/cgroup.controllers)"
echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/delegated
cd /mnt
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt TMPDIR=/mnt GATEHOUSE_CGROUP=1
# Alone in its group, as a service of systemd is.
sh -c 'echo 0 >/sys/fs/cgroup/delegated/cgroup.procs; exec "$dir/tests" -test.v -test.timeout 3m -test.run ^TestGroup'
echo "cgroup: exit \$?"
echo o >/proc/sysrq-trigger
sleep 60
END
sed -i '/\.\.data/d' "$dir/init"
chmod +x "$dir/init"
# Linux keeps its memory in a file of TMPDIR.
# shellcheck disable=SC2086 # it may be two words
TMPDIR=$dir timeout 300 $linux mem=512M root=/dev/root rootfstype=hostfs rootflags=/ ro init="$dir/init" \
	con=null con0=null,fd:1 quiet $few </dev/null >"$dir/log" 2>&1 || true
grep -e '^cgroup:' -e '^--- ' -e '_test.go' "$dir/log" | tr -d '\r' || true
grep -q '^cgroup: exit 0' "$dir/log" || { tail -30 "$dir/log" >&2; fail "the tests failed"; }
for test in TestGroupBoundsMemory TestGroupBoundsTasks TestGroupBoundsCPU TestGroupHoldsWhoeverLeaves; do
	grep -q -e "^--- PASS: $test " "$dir/log" || fail "$test did not run"
done
echo "cgroup: ok"
