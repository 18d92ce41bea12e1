# Without multipathd, a portal that was dead at attach is joined by show --join, a path that was lost
# and is back by the next attach, and one that leads to another volume by now by neither. A join that
# is killed leaves the volume attached, and nothing half-joined.
# Keeps: R2
make_storage
make_lun stranger 64
start_daemons udevd iscsid
load_multipath
take_snapshot
portal_refuse 3
portal_refuse 4

paths_in() { field "[.paths[]|select(.state==\"$1\")]|length"; }
state_of() { field ".paths[]|select(.portal==\"10.0.$1.2:3260\")|.state"; }
slaves() { ls "/sys/block/${path#/dev/}/slaves" | wc -l; }
disks() { ls -d /sys/block/sd* | wc -l; }

expect_exit 0 hawser attach --json --grace 30 --login-timeout 3 $(volume)
id=$(field .id) path=$(field .path)
check "two of four paths are active" equal "$(paths_in active)" 2
write_pattern "$path" 4

portal_accept 3
expect_exit 0 hawser show --json --join --login-timeout 3 "$id"
check "the late portal is joined" equal "$(state_of 3)" active
check "the dead one is named, with an error" equal \
  "$(field '.paths[]|select(.error!=null)|.portal')" 10.0.4.2:3260
check "it is still degraded" equal "$(field .degraded)" true
check "the map has three paths" equal "$(slaves)" 3
check "what was written is read back" read_pattern "$path"

# Behind the fourth portal there is another volume now: the same target name, LUN and all.
tpg=/sys/kernel/config/target/iscsi/$TARGET
rmdir "$tpg/tpgt_1/np/10.0.4.2:3260"
mkdir -p "$tpg/tpgt_2/lun/lun_1"
for attribute in authentication demo_mode_write_protect cache_dynamic_acls; do echo 0 >"$tpg/tpgt_2/attrib/$attribute"; done
echo 1 >"$tpg/tpgt_2/attrib/generate_node_acls"
nsenter --net=/run/netns/tgt mkdir "$tpg/tpgt_2/np/10.0.4.2:3260"
ln -s /sys/kernel/config/target/core/fileio_0/stranger "$tpg/tpgt_2/lun/lun_1/stranger"
echo 1 >"$tpg/tpgt_2/enable"
portal_accept 4
expect_exit 0 hawser show --json --join "$id"
check "a path to another volume is refused" equal \
  "$(field '.paths[]|select(.portal=="10.0.4.2:3260")|.error.code')" identity_mismatch
check "it is not in the map" equal "$(slaves)" 3
check "its device is gone" equal "$(disks)" 3
check "and so is its session" equal "$(ls -d /sys/class/iscsi_session/session* | wc -l)" 3
# And now the volume is there again.
rmdir "$tpg/tpgt_2/np/10.0.4.2:3260"
nsenter --net=/run/netns/tgt mkdir "$tpg/tpgt_1/np/10.0.4.2:3260"
expect_exit 0 hawser show --json --join "$id"
check "a path to the volume is taken" equal "$(state_of 4)" active
check "it is not degraded any more" equal "$(field .degraded)" false

# A path that is lost under I/O fails, and without multipathd it stays so when its session is back.
sid=$(field '.paths[]|select(.portal=="10.0.2.2:3260")|.sid')
session_is() { [ "$(cat "/sys/class/iscsi_session/session$sid/state")" = "$1" ]; }
portal_down 2
write_pattern "$path" 8
check "the session is lost" wait_until 60 session_is FREE
write_pattern "$path" 8
portal_up 2
check "the session is back" wait_until 60 session_is LOGGED_IN
expect_exit 0 hawser show --json "$id"
check "the path is still out of use" equal "$(state_of 2)" faulty
expect_exit 0 hawser attach --json --grace 10 --login-timeout 3 $(volume)
check "it was attached already" equal "$(field .already_attached)" true
check "the next attach takes the path into use" equal "$(state_of 2)" active
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser log "$id"
check "the log has the steps of the join" grep -q join /run/out

# Killed at whatever instant of a join: the path is in the map, or it has left nothing.
whole() {
  local disk
  for disk in /sys/block/sd*; do [ -e "/sys/block/${path#/dev/}/slaves/${disk##*/}" ] || return 1; done
  equal "$(ls -d /sys/class/iscsi_session/session* | wc -l)" "$(disks)"
}
log=$STATE/$id.log
mended=0
# A join writes six records: its own intent, and then one before and one after login and scan.
for records in 1 2 3 4 5; do
  expect_exit 0 hawser show --json --join "$id"
  check "four paths are active" equal "$(paths_in active)" 4
  iscsiadm -m session -r "$(field '.paths[]|select(.portal=="10.0.4.2:3260")|.sid')" -u >/dev/null
  mapfile -t before <"$log"
  "$HAWSER" show --json --join "$id" >/run/joined 2>&1 &
  pid=$!
  while mapfile -t lines <"$log" && [ ${#lines[@]} -lt $((${#before[@]} + records)) ] && [ -d /proc/$pid ]; do :; done
  kill -KILL $pid 2>/dev/null || true
  wait $pid || true
  expect_exit 0 hawser recover --json
  say "killed after $records records, recovered: $(jq -c . /run/out)"
  mended=$((mended + $(field '.kept|length')))
  check "no path is half-joined" whole
done
check "some were killed in the middle" test "$mended" -ge 1
expect_exit 0 hawser show --json --join "$id"
check "four paths are active" equal "$(paths_in active)" 4
check "paths that are gone for good are not in the map" equal "$(slaves)" 4
check "what was written is read back" read_pattern "$path"

expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
