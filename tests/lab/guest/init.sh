#!/bin/bash
# Process 1 of the guest: makes the host's root usable without writing to it, brings the machine up,
# runs one scenario, and powers off. What came of it is in /mnt/results/result.
#
# From the kernel's command line: LAB_TREE, LAB_BUILD, LAB_RESULTS (directories of the host) and
# LAB_SCENARIO (a script in tests/lab/scenarios).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
# All that is written lands here, not on the host's disk.
for dir in /dev/shm /run /tmp /var/lib /var/log /mnt; do
  mount -t tmpfs tmpfs "$dir"
done
# A private /etc: links to what the host has, and directories of our own where things are written.
mkdir -p /mnt/host-etc /mnt/etc
mount --bind /etc /mnt/host-etc
ln -s /mnt/host-etc/* /mnt/etc/
rm -rf /mnt/etc/iscsi /mnt/etc/multipath /mnt/etc/multipath.conf /mnt/etc/target
mkdir /mnt/etc/iscsi /mnt/etc/multipath /mnt/etc/target
mount --bind /mnt/etc /etc
# The checkout may lie below one of those: it is mounted anew.
mkdir -p /mnt/lab /mnt/build /mnt/results
mount -t hostfs -o "$LAB_TREE/tests/lab" none /mnt/lab
mount -t hostfs -o "$LAB_BUILD" none /mnt/build
mount -t hostfs -o "$LAB_RESULTS" none /mnt/results

exec >/mnt/results/scenario.log 2>&1 </dev/null
. /mnt/lab/guest/lib.sh
# Progress goes to whoever watches the console.
exec 3>/dev/console

# Not in a condition: there bash would ignore -e.
(
  set -euE
  trap 'echo "line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >/run/failure' ERR
  bring_up_kernel
  . "/mnt/lab/scenarios/$LAB_SCENARIO.sh"
)
if [ $? -eq 0 ]; then
  echo PASS >/mnt/results/result
else
  echo "FAIL $(cat /run/failure 2>/dev/null || echo 'no reason given')" >/mnt/results/result
  inventory >/mnt/results/leftovers.txt 2>&1
  dmesg >/mnt/results/kernel.log
  cp /run/*.log /run/out /run/err /mnt/results/ 2>/dev/null
  cp -r /var/lib/hawser /mnt/results/state 2>/dev/null
fi
sync
poweroff -f
