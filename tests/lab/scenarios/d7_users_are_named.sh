# A volume in use stays whole, and whoever uses it is named: mounts here and in another mount namespace,
# swap, devices stacked on it, partitions, processes; for a map and for a bare device. Who lets go in
# time is waited for.
# Keeps: D7
# Labs: uml, qemu
make_storage 2
start_daemons udevd iscsid multipathd
mkdir -p /run/mounted
take_snapshot
message() { field .error.message; }
refused() { # TIMEOUT WORDS: detach says that it is in use, and by whom.
  expect_exit 1 hawser detach --json --timeout "$1" "$id"
  equal "$(field .error.code)" busy && grep -qF "$2" <<<"$(message)" || { message; return 1; }
}

# open_device: sets opener to a process that has $path open.
open_device() {
  sleep 1000 9<"$path" &
  opener=$!
  wait_until 20 test -e /proc/$opener/fd/9
}
# waited_for: detach waits for the opener, and goes on when it has gone.
waited_for() {
  open_device
  hawser detach --json --log-level info --timeout 60 "$id" >/run/out 2>/run/told &
  local detach=$!
  check "detach waits" wait_until 30 grep -q "waiting until nobody has ${path#/dev/} open" /run/told
  check "and has removed nothing" test -e "/sys/block/${path#/dev/}"
  kill $opener
  wait $detach
}

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
mke2fs -q -F "$path"
mount -t ext4 "$path" /run/mounted || mount "$path" /run/mounted
start=$SECONDS
check "a mount is named" refused 90 "mounted on /run/mounted"
check "and not waited for" at_most $((SECONDS - start)) $((60 * LAB_SLOWNESS))
umount /run/mounted

unshare -m sh -c "mount '$path' /run/mounted && echo >/run/there && exec sleep 1000" &
hidden=$!
wait_until 20 test -e /run/there
check "a mount in another namespace is named" refused 30 "in the mount namespace of sleep (pid $hidden)"
kill $hidden
wait $hidden || true

mkswap "$path" >/dev/null
swapon "$path"
check "swap is named" refused 30 "swapped on"
swapoff "$path"

dmsetup create stacked --table "0 2048 linear $path 0"
check "a device on top is named" refused 30 "used by dm-"
dmsetup remove stacked

# The map claims its disks, but device-mapper shares that claim.
disk=$(field '.paths[0].device' <(hawser show --json "$id"))
dmsetup create stacked --table "0 2048 linear /dev/$disk 0"
check "a device on top of a path is named" refused 30 "$disk is in use: used by dm-"
dmsetup remove stacked
sectors=$(<"/sys/block/${path#/dev/}/size")
wwid=$(<"/sys/block/${path#/dev/}/dm/uuid")
dmsetup create part1 --uuid "part1-$wwid" --table "0 $((sectors - 2048)) linear $path 2048"
exec 9</dev/mapper/part1
check "who has a partition open is named" refused 4 "(pid $BASHPID)"
exec 9<&-

open_device
check "a process is named" refused 4 "sleep (pid $opener)"
expect_exit 0 hawser show --json "$id"
check "both paths are as before" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
check "the partition is as before" test -e /dev/mapper/part1
kill $opener
wait $opener || true

check "who lets go in time is waited for" waited_for
check "then it is detached" equal "$(field .detached)" true
check "nothing is left" nothing_left

say "a bare device"
kill $multipathd_pid
wait_until 20 test ! -d /proc/$multipathd_pid
expect_exit 0 hawser attach --json --multipath off $(volume)
id=$(field .id) path=$(field .path)
open_device
check "a process is named" refused 4 "sleep (pid $opener)"
kill $opener
wait $opener || true
load loop
loop=$(losetup -f --show "$path")
check "a loop device is named" refused 30 "used by ${loop#/dev/}"
losetup -d "$loop"
mke2fs -q -F "$path"
mount "$path" /run/mounted
check "a mount is named" refused 30 "mounted on /run/mounted"
umount /run/mounted
dmsetup create stacked --table "0 2048 linear $path 0"
check "a device on top is named" refused 30 "used by dm-"
dmsetup remove stacked
check "who lets go in time is waited for" waited_for
check "nothing is left" nothing_left
