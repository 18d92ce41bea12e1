# How long a clean attach over four portals takes, against the floor: what the same kernel takes for
# the bare primitives, measured in turn with it in this guest. Not a test; tests/lab/bench runs it.
# Samples go to /mnt/results/samples.jsonl, one JSON document a cycle.
cycles=${LAB_CYCLES:-10}
floor=/mnt/build/tests/lab/floor
[ -x "$floor" ] || fail "there is no tests/lab/floor in the build directory"
make_storage
start_daemons udevd iscsid multipathd
take_snapshot

udev_is_idle() { udevadm settle --timeout=30; }

# The first cycle warms what is cached (the kernel's modules, udev's rules, the layout of iscsid): it
# is run like the others and thrown away.
for ((cycle = 0; cycle <= cycles; cycle++)); do
  udev_is_idle
  expect_exit 0 "$floor" $(volume)
  mv /run/out /run/floor.json
  check "the floor left nothing" nothing_left

  udev_is_idle
  start=${EPOCHREALTIME/./}
  expect_exit 0 hawser attach --json $(volume)
  wall_us=$((${EPOCHREALTIME/./} - start))
  mv /run/out /run/attach.json
  check "over four paths" equal "$(field '[.paths[]|select(.state=="active")]|length' /run/attach.json)" 4
  expect_exit 0 hawser detach --json "$(field .id /run/attach.json)"
  check "hawser left nothing" nothing_left
  [ $cycle -gt 0 ] || continue
  jq -c -n --slurpfile floor /run/floor.json --slurpfile attach /run/attach.json --slurpfile detach /run/out \
    --argjson wall_us $wall_us '$floor[0] + {floor_ms: ($floor[0] | .logins_ms + .scan_ms + .dm_create_ms + .udev_map_ms),
      attach_ms: $attach[0].elapsed_ms, attach_wall_ms: ($wall_us / 1000),
      detach_ms: $detach[0].elapsed_ms}' >>/mnt/results/samples.jsonl
done
