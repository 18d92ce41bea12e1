# How long attach and detach take, against the floor: what the same kernel takes for the bare
# primitives, measured in turn with them in this guest. Not a test; tests/bench runs it.
# Samples go to /mnt/results/samples.jsonl, one JSON document a measurement.
cycles=${LAB_CYCLES:-10}
floor=/mnt/build/tests/lab/floor
[ -x "$floor" ] || fail "there is no tests/lab/floor in the build directory"
make_portals 4
make_lun volume 64
make_lun second 64
make_target "$TARGET"
add_lun "$TARGET" 1 volume
add_lun "$TARGET" 2 second
# The other disks of the host: one unit, at as many LUNs as it takes.
OTHERS=$TARGET.others LUNS=64
make_lun other 16
make_target "$OTHERS"
for ((lun = 1; lun <= LUNS; lun++)); do add_lun "$OTHERS" $lun other; done
start_daemons udevd iscsid multipathd
take_snapshot

# run NAME command...: what it printed is one sample, with the name of what was measured. Whatever udev
# has to do by then is done before.
run() {
  local name=$1
  shift
  [ ! -e /run/udev ] || udevadm settle --timeout=120
  expect_exit 0 "$@"
  jq -c --arg name "$name" '{name: $name, cycle: '$cycle'} + if .elapsed_ms then {ms: .elapsed_ms} else {laps: ., ms: (add)} end' \
    /run/out >/run/sample
  # The first cycle warms what is cached: the kernel's modules, udev's rules, the layout of iscsid.
  [ $cycle -eq 0 ] || cat /run/sample >>/mnt/results/samples.jsonl
}
second() { volume | sed 's/^--target \([^ ]*\) --lun 1/--target \1 --lun 2/'; }

for ((cycle = 0; cycle <= cycles; cycle++)); do
  run floor_attach "$floor" up $(volume)
  run floor_detach "$floor" down $(volume)
  check "the floor left nothing" nothing_left
  run attach hawser attach --json $(volume)
  id=$(field .id)
  check "over four paths" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
  run floor_more "$floor" more $(second)
  run floor_less "$floor" less $(second)
  run more hawser attach --json $(second)
  check "over the same four paths" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
  run less hawser detach --json "$(field .id)"
  run detach hawser detach --json "$id"
  check "hawser left nothing" nothing_left
done

# What a lookup costs is to depend on the volume, not on the host. udev and multipathd, whose work
# does depend on it, are not there.
kill "$multipathd_pid"
udevadm settle --timeout=120
udevadm control --exit
rm -rf /run/udev
lookups() {
  for ((cycle = 0; cycle <= cycles; cycle++)); do
    run floor_$1 "$floor" up $(volume)
    expect_exit 0 "$floor" down $(volume)
    run attach_$1 hawser attach --json $(volume)
    expect_exit 0 hawser detach --json "$(field .id)"
  done
}
# Both hosts have four sessions of somebody else: each costs iscsid something at every login.
hosts=()
for n in 1 2 3 4; do
  foreign_session "$OTHERS" $n
  hosts+=($host)
done
# scan_others FROM TO: the disks at these LUNs, on each of those sessions.
scan_others() {
  local lun
  for host in "${hosts[@]}"; do
    for ((lun = $1; lun <= $2; lun++)); do echo "0 0 $lun" >"/sys/class/scsi_host/host$host/scan"; done
  done
  wait_until 30 are_there $((${#hosts[@]} * $2)) || fail "the other disks are not there"
}
are_there() { local disks=(/sys/block/sd*) && [ ${#disks[@]} -eq $1 ]; }
scan_others 1 1
lookups few
scan_others 2 $LUNS
lookups full
