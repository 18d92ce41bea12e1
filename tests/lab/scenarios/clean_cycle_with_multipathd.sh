# The main job: four paths beside a running multipathd, data through the map, and nothing left.
# Labs: uml, qemu
make_storage
start_daemons udevd iscsid multipathd
say "ready"
take_snapshot

expect_exit 0 hawser attach --json $(volume)
cat /run/out
check "the result is a map" equal "$(field .multipath)" true
check "all four paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
check "nothing is degraded" equal "$(field .degraded)" false
id=$(field .id) path=$(field .path) stable=$(field .stable_path)
check "the stable path leads to the map" equal "$(readlink -f "$stable")" "$path"
write_pattern "$stable" 8
check "what was written is read back" read_pattern "$stable"

expect_exit 0 hawser show --json "$id"
check "show says the same" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
expect_exit 0 hawser list --json
check "list has it" equal "$(field '.[0].id')" "$id"

expect_exit 0 hawser detach --json "$id"
cat /run/out
check "it was flushed" equal "$(field .flushed)" true
check "nothing is left" nothing_left
