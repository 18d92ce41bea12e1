# A volume that grew: every path is scanned anew, the map is switched to the new size, and what is on it
# stays. A path that is down is named and left out, and joined when it is back. A shrink is refused
# unless it is asked for. A bare device, a map without multipathd and one beside it.
# Keeps: R1
load loop

make_portals 3
make_loop_lun volume 64
make_lun neighbour 16
make_target "$TARGET"
add_lun "$TARGET" 1 volume
add_lun "$TARGET" 2 neighbour

size_of() { echo $(($(<"/sys/block/${path#/dev/}/size") / 2048)); }
slaves() { ls "/sys/block/${path#/dev/}/slaves" | wc -l; }
has_slaves() { [ "$(slaves)" = "$1" ]; }
# The last MiB of a device of $1 MiB.
write_last() { dd if=/run/pattern of="$path" bs=1M seek="$(($1 - 1))" count=1 oflag=direct conv=notrunc status=none; }

# resumed DEVICE: whether it was since watch_maps began. The kernel sends an event for each map that is resumed, as
# after a reload.
watch_maps() {
  udevadm monitor --kernel --subsystem-match=block >/run/events &
  monitor=$!
  wait_until 20 grep -q KERNEL /run/events
}
stop_watching() { kill $monitor; wait $monitor || true; }
resumed() { grep -q "change.*/${1#/dev/} " /run/events; }

start_daemons udevd iscsid
load_multipath
expect_exit 0 hawser attach --json $(volume | sed 's/--lun 1/--lun 2/')
neighbour_id=$(field .id) neighbour=$(field .path)
take_snapshot

expect_exit 0 hawser attach --json --multipath off $(volume)
id=$(field .id) path=$(field .path)
set_size 72
expect_exit 0 hawser resize --json "$id"
check "a bare device: the old size and the new" equal "$(field '[.old_size,.size]|map(./1048576)|join(" ")')" "64 72"
check "the kernel has it too" equal "$(size_of)" 72
set_size 64
expect_exit 3 hawser resize --json "$id"
check "that it shrank is said" equal "$(field .error.code)" data_at_risk
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
set_size 96
watch_maps
expect_exit 0 hawser resize --json --target "$TARGET" --lun 1 --portal 10.0.1.2
check "its map was reloaded" wait_until 20 resumed "$path"
stop_watching
check "and no other" equal "$(resumed "$neighbour" && echo reloaded)" ''
check "a map: the old size and the new" equal "$(field '[.old_size,.size]|map(./1048576)|join(" ")')" "64 96"
check "no warning" equal "$(field '.warnings|length')" 0
check "the map has it" equal "$(size_of)" 96
check "with all of its paths" equal "$(slaves)" 3
check "what was written is read back" read_pattern "$path"
check "it can be written up to its end" write_last 96
expect_exit 0 hawser resize --json "$id"
check "once more changes nothing" equal "$(field '[.old_size,.size]|map(./1048576)|join(" ")')" "96 96"

# Under I/O that a path which is down holds up: the switch waits for it, and loses none of it.
write_pattern "$path" 32
portal_down 2
dd if=/run/pattern of="$path" bs=1M oflag=direct conv=notrunc status=none &
writer=$!
set_size 128
expect_exit 0 hawser resize --json --timeout 120 "$id"
check "the path that is down is named, and no other" equal "$(field '[.paths[]|select(.error!=null)|.portal]|join(" ")')" 10.0.2.2:3260
check "a warning says so" grep -q 10.0.2.2 <<<"$(field '.warnings[]')"
check "the map has the new size" equal "$(size_of)" 128
check "and only paths of that size" equal "$(slaves)" 2
check "the writer got through" wait "$writer"
check "what was written is read back" read_pattern "$path"
portal_up 2
sid=$(field '.paths[]|select(.portal=="10.0.2.2:3260")|.sid')
check "the session is back" wait_until 60 grep -q LOGGED_IN "/sys/class/iscsi_session/session$sid/state"
expect_exit 0 hawser show --json --join "$id"
check "the path is joined" equal "$(field .degraded)" false
check "the map has three paths" equal "$(slaves)" 3

set_size 112
expect_exit 3 hawser resize --json "$id"
check "a shrink is refused" equal "$(field '.error|[.code,.data_at_risk]|@csv')" '"data_at_risk",true'
check "the map stays as it is" equal "$(size_of)" 128
expect_exit 0 hawser resize --json --allow-shrink "$id"
check "unless it is asked for" equal "$(size_of)" 112
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

expect_exit 0 hawser detach --json "$neighbour_id"
start_multipathd
take_snapshot
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
knows_size() { multipathd show maps raw format '%d %S' | grep -q "^${path#/dev/} *$1"; }
check "multipathd has the map" wait_until 30 knows_size 112M
reconfigured=$(grep -c reconfigure /mnt/results/multipathd.log)
set_size 144
expect_exit 0 hawser resize --json "$id"
check "beside multipathd the map has the new size" equal "$(size_of)" 144
check "multipathd has it too" wait_until 20 knows_size 144M
check "it was not told to look at everything anew" equal "$(grep -c reconfigure /mnt/results/multipathd.log)" "$reconfigured"
check "it reloads the map" equal "$(multipathd reload map "${path#/dev/}")" ok
check "and that has the new size still" equal "$(size_of)" 144
check "with all of its paths, as soon as multipathd knows them all" wait_until 20 has_slaves 3
check "it is not suspended" equal "$(<"/sys/block/${path#/dev/}/dm/suspended")" 0
check "it can be written up to its end" write_last 144
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
