# iscsid is restarted in the middle of an attach, and between attach and detach: sessions keep our
# time-out, and detach works.
# Keeps: R5
make_storage 4
start_daemons udevd iscsid multipathd
take_snapshot
restart_iscsid() {
  kill -KILL $iscsid_pid
  wait $iscsid_pid || true
  start_iscsid
}
timeouts() { cat /sys/class/iscsi_session/session*/recovery_tmo | sort -u | tr '\n' ' '; }
logged_in() { [ "$(cat /sys/class/iscsi_session/*/state | grep -c LOGGED_IN)" -eq "$1" ]; }

expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
check "all four paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
check "the sessions have our time-out" equal "$(timeouts)" "5 "
restart_iscsid
check "all sessions are there after the restart" wait_until 30 logged_in 4
check "with our time-out" equal "$(timeouts)" "5 "
portal_down 2
write_pattern "$path" 8
check "I/O goes on over the others when one is lost" read_pattern "$path"
portal_up 2
check "the new iscsid logs in again" wait_until 60 logged_in 4
check "and the time-out is ours" equal "$(timeouts)" "5 "
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

# A new iscsid knows none of the sessions at first, and has to log in to each of them again.
expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
restart_iscsid
expect_exit 0 hawser detach --json "$id"
check "nothing is left by a detach right after a restart" nothing_left

# A session that the old iscsid had just made, and not told its target yet, belongs to nobody: the new
# one cannot take it up.
nameless() { grep -c '(null)$' /run/after || true; }

for delay in 0.1 0.3; do
  hawser attach --json --timeout 60 --login-timeout 10 $(volume) >/run/attached 2>/run/err &
  attach=$!
  sleep $delay
  restart_iscsid
  status=0
  wait $attach || status=$?
  say "iscsid was restarted $delay s into the attach, which ended with $status: $(head -c 300 /run/attached)"
  if [ $status -eq 0 ]; then
    check "the sessions have our time-out" equal "$(timeouts)" "5 "
    expect_exit 0 hawser detach --json "$(field .id /run/attached)"
  elif [ $status -eq 2 ]; then
    expect_exit 0 hawser recover --json
  fi
  if ! wait_until 20 differences >/run/differences; then
    check "nothing is left but what has no target" equal "$(grep -c '^[<>]' /run/differences)" "$(nameless)"
    cp /run/after /run/before
  fi
done
