# iscsid is restarted in the middle of an attach, and between attach and detach: sessions keep our
# time-out, and detach works.
# Keeps: R5
make_storage 4
start_daemons udevd iscsid
load_multipath
take_snapshot
restart_iscsid() {
  kill -KILL $iscsid_pid
  ended_within 10 $iscsid_pid || return 1
  start_iscsid
}
# timeouts SID...
timeouts() { printf '/sys/class/iscsi_session/session%s/recovery_tmo\n' "$@" | xargs cat | sort -u | tr '\n' ' '; }
sids_in_use() { field '.paths[] | select(.state == "active").sid' "${1:-/run/out}"; }
logged_in() { [ "$(cat /sys/class/iscsi_session/*/state | grep -c LOGGED_IN)" -eq "$1" ]; }

# Without multipathd, which would set the time-out as well.
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path) sids=$(sids_in_use)
check "all four paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
check "the sessions have our time-out" equal "$(timeouts $sids)" "5 "
restart_iscsid
check "all sessions are there after the restart" wait_until 30 logged_in 4
check "with our time-out" equal "$(timeouts $sids)" "5 "
portal_down 2
write_pattern "$path" 8
check "I/O goes on over the others when one is lost" read_pattern "$path"
portal_up 2
check "the new iscsid logs in again" wait_until 60 logged_in 4
check "and the time-out is ours" equal "$(timeouts $sids)" "5 "
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

start_multipathd
take_snapshot
# A new iscsid knows none of the sessions at first, and has to log in to each of them again.
expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
restart_iscsid
expect_exit 0 hawser detach --json "$id"
check "nothing is left by a detach right after a restart" nothing_left

# A session that the old iscsid had just made, and not told its target yet, belongs to nobody: the new
# one cannot take it up.
nameless() { grep -c '(null)$' /run/after || true; }

restarts=0
for delay in 0.1 0.3; do
  hawser attach --json --timeout 60 --login-timeout 10 $(volume) >/run/attached 2>/run/err &
  attach=$!
  sleep $delay
  # The kernel loses a signal, even this one, that comes while iscsid makes a session: iscsi_host_remove() of
  # Linux' drivers/scsi/libiscsi.c flushes what is pending. Nothing ends that iscsid any more; it goes on.
  if restart_iscsid; then restarts=$((restarts + 1)); else say "the kernel lost the signal: this iscsid stays"; fi
  status=0
  wait $attach || status=$?
  say "iscsid was restarted $delay s into the attach, which ended with $status: $(head -c 300 /run/attached)"
  [[ $status == [0124] ]] || fail "exit status $status"
  if [ $status -eq 0 ]; then
    check "the sessions in use have our time-out" equal "$(timeouts $(sids_in_use /run/attached))" "5 "
    expect_exit 0 hawser detach --json "$(field .id /run/attached)"
  elif [ $status -eq 2 ]; then
    expect_exit 0 hawser recover --json
  fi
  if ! nothing_left; then
    check "nothing is left but what has no target" equal "$(grep -c '^[<>]' /run/differences)" "$(nameless)"
    cp /run/after /run/before
  fi
done
check "it was restarted in the middle of an attach" test $restarts -ge 1
expect_exit 0 hawser attach --json $(volume)
check "after all that all four paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 4
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing more is left" nothing_left
