# The target takes the LUN away at whatever moment of an attach, while other sessions and devices come
# and go all over sysfs: the attach succeeds or fails clearly, nothing is left, and the next works.
# Keeps: H1
make_storage 2
make_lun noise 16
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 5 noise
start_daemons udevd iscsid
load_multipath
foreign_session "$OTHER_TARGET" 1
take_snapshot

# Devices that come and go, without a process started for it.
storm() {
  trap 'exit 0' TERM
  while :; do
    echo "0 0 5" >"/sys/class/scsi_host/host$host/scan"
    nap; nap; nap; nap
    for gone in "/sys/class/scsi_device/$host:0:0:5"; do
      [ -e "$gone" ] && echo 1 >"$gone/device/delete"
    done
  done
} 2>/dev/null

storm &
storm_pid=$!
attached=0
for delay in 0.1 0.3 0.6; do
  hawser attach --json --grace 2 --timeout 40 $(volume) >/run/attached 2>&1 &
  pid=$!
  sleep $delay
  remove_lun "$TARGET" 1
  status=0
  wait $pid || status=$?
  say "the LUN went after $delay s: exit $status $(jq -r '.error.message // "attached"' /run/attached)"
  case $status in
    0)
      attached=$((attached + 1))
      expect_exit 0 hawser detach --json --force --timeout 40 "$(field .id /run/attached)"
      ;;
    1) check "the error has a code" grep -qE '"code":"(not_found|io|busy|unavailable|identity_mismatch)"' /run/attached ;;
    *) fail "exit status $status" ;;
  esac
  check "no session, map or log is left" equal "$(inventory | grep -E "^(session.*$TARGET|map|log)")" ""
  add_lun "$TARGET" 1 volume
done
say "$attached of 3 were attached before the LUN went"
for i in 1 2; do
  expect_exit 0 hawser attach --json $(volume)
  check "both paths are there" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
  expect_exit 0 hawser list --json
  expect_exit 0 hawser sessions --json
  expect_exit 0 hawser detach --json $(volume)
done
kill $storm_pid
wait $storm_pid || true
for gone in "/sys/class/scsi_device/$host:0:0:5"; do
  [ -e "$gone" ] && echo 1 >"$gone/device/delete"
done
check "nothing is left" nothing_left
