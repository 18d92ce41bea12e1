# Killed at whatever instant of an attach, and recovered: the host is as it was, or the volume is
# attached as a whole and can be detached.
# Labs: uml, qemu
make_storage
start_daemons udevd iscsid multipathd
take_snapshot

killed=0 undone=0
for delay in 0.05 0.1 0.15 0.2 0.25 0.3 0.4 0.5 0.6 0.8 1.0 1.3; do
  "$HAWSER" attach --json $(volume) >/run/attached 2>&1 &
  pid=$!
  sleep $delay
  kill -KILL $pid 2>/dev/null && killed=$((killed + 1))
  wait $pid || true
  logs=$(ls "$STATE" 2>/dev/null | grep -c 'log$' || true)

  expect_exit 0 hawser recover --json
  say "killed after $delay s, $logs log, recovered: $(jq -c . /run/out)"
  undone=$((undone + $(field '.undone|length')))
  expect_exit 0 hawser list --json
  if [ "$(field length)" -gt 0 ]; then
    check "what was committed is whole" equal "$(field '.[0].status')" attached
    expect_exit 0 hawser detach --json "$(field '.[0].id')"
  fi
  check "nothing is left" nothing_left
done
check "most were killed in the middle" test "$killed" -ge 6
# The command works in a child, which has died with it, or recover would have found the log in use.
check "and some of them were undone" test "$undone" -ge 1
