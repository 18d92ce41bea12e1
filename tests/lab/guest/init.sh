#!/bin/bash
# Process 1 of the guest: makes the host's root usable without writing to it, brings the machine up,
# runs one scenario, and powers off. What came of it is in /mnt/results/result.
#
# From the kernel's command line: LAB_SCENARIO (a script in tests/lab/scenarios), LAB_SLOWNESS (what
# deadlines are multiplied with), LAB_MACHINE (uml or qemu) and, for uml, the host's directories
# LAB_TESTS, LAB_BUILD, LAB_RESULTS and LAB_MODULES. qemu has them as shares of these names.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
mount -t devpts devpts /dev/pts
# All that is written lands here. The host's root itself is mounted read-only.
for dir in /dev/shm /run /tmp /var /mnt; do
  mount -t tmpfs tmpfs "$dir"
done
mkdir -p /var/lib /var/log /var/cache /var/tmp
# A private /etc: links to what the host has, and directories of our own where things are written.
mkdir -p /mnt/host-etc /mnt/etc
mount --bind /etc /mnt/host-etc
ln -s /mnt/host-etc/* /mnt/etc/
rm -rf /mnt/etc/iscsi /mnt/etc/multipath /mnt/etc/multipath.conf /mnt/etc/target
mkdir /mnt/etc/iscsi /mnt/etc/multipath /mnt/etc/target
mount --bind /mnt/etc /etc
# The checkout may lie below one of those: it is mounted anew.
mkdir -p /mnt/tests /mnt/build /mnt/results /mnt/modules
# host_folder NAME PATH [OPTION]: PATH is of the host; qemu has it as a share of that name.
host_folder() {
  if [ "$LAB_MACHINE" = qemu ]; then
    mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144${3:-,cache=loose,ro}" "$1" "/mnt/$1"
  else
    # The option has its name since Linux 6.11; before, the path stood alone.
    mount -t hostfs -o "hostfs=$2" none "/mnt/$1" 2>/dev/null || mount -t hostfs -o "$2" none "/mnt/$1"
  fi
}
host_folder tests "$LAB_TESTS"
host_folder build "$LAB_BUILD"
host_folder modules "$LAB_MODULES"
host_folder results "$LAB_RESULTS" ,rw

exec >>/mnt/results/scenario.log 2>&1 </dev/null
. /mnt/tests/guest/lib.sh
# Progress goes to whoever watches the console.
exec 3>/dev/console
# Each command with the time of day at which it began; kept when the scenario fails.
exec {BASH_XTRACEFD}>>/mnt/results/trace.log
PS4='+$EPOCHREALTIME ${BASH_SOURCE[0]##*/}:$LINENO '

# Not in a condition: there bash would ignore -e.
(
  set -euEx
  trap 'echo "line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >/run/failure' ERR
  bring_up_kernel
  unpack_disk
  . "/mnt/tests/scenarios/$LAB_SCENARIO.sh"
  # A scenario of two boots has a function for each.
  if declare -F boot_1 >/dev/null; then "boot_$boot"; fi
)
status=$?
if compgen -G "$SANITIZER_REPORTS.*" >/dev/null; then
  status=1
  sed -n '/ERROR:\|WARNING:\|runtime error:/{s/^=*[0-9]*=*//p;q}' "$SANITIZER_REPORTS".* >/run/failure
fi
if [ $status -eq 0 ]; then
  echo PASS >/mnt/results/result
else
  echo "FAIL $(cat /run/failure 2>/dev/null || echo 'no reason given')" >/mnt/results/result
  { inventory; echo '--- against the snapshot:'; diff /run/before /run/after; } >/mnt/results/leftovers.txt 2>&1
  dmesg >/mnt/results/kernel.log
  cp /run/out /run/err /mnt/results/ 2>/dev/null
  cp -r /var/lib/hawser /mnt/results/state 2>/dev/null
fi
sync
# Not every root has a poweroff. The kernel does it a moment later.
echo o >/proc/sysrq-trigger
while :; do nap; done
