# Whatever never answers, the call comes back by its deadline, its process ends, the log says what is
# left, and the next call reaps that: an iscsid that says nothing, a target that answers logins and no
# command (so that a scan or a delete hangs in the kernel), a udev that never settles, a lock that is never freed.
# Flushes that hang have scenarios of their own (d4).
# Keeps: A1, D5, D9, H3
make_storage 2
echo 1 >/sys/kernel/config/target/core/fileio_0/volume/attrib/emulate_write_cache
start_daemons udevd iscsid
load_multipath
load xt_u32
take_snapshot

# returns SECONDS STATUS ARGUMENTS...: an attach that fails may take 30 s more than the deadline to undo what it did.
returns() {
  local start=$SECONDS undo=0
  expect_exit "$2" hawser "${@:3}"
  say "it took $((SECONDS - start)) s: $(field '.error.message // "done"')"
  case "$3 $2" in "attach 2" | "attach 4") undo=30 ;; esac
  check "$3 is back" at_most $((SECONDS - start)) $((($1 + undo) * LAB_SLOWNESS + 10))
}
no_hawser() { ! grep -qsx hawser /proc/[0-9]*/comm; }
is_stuck() { grep -qs '^[0-9]* (hawser) D' /proc/[0-9]*/task/*/stat; }
reaped() {
  check "what was left behind has ended" wait_until 60 no_hawser
  expect_exit 0 hawser recover --json
  check "nothing is left" nothing_left
}
# Payloads that begin with a SCSI command or a task management request (RFC 7143, 11.2.1.2) get nowhere; a
# session stays, since pings are answered.
commands() {
  iptables-legacy "$1" OUTPUT -p tcp --dport 3260 -m u32 \
    --u32 '0>>22&0x3C@12>>26&0x3C@0>>24&0x3F=1:2' -j DROP
}

say "iscsid says nothing"
kill -STOP $iscsid_pid
returns 5 4 attach --json --timeout 5 $(volume)
check "nothing is left" nothing_left
kill -CONT $iscsid_pid

say "iscsid says nothing more after the first login"
portal_down 2
hawser attach --json --timeout 10 --min-paths 2 $(volume) >/run/out 2>/run/err &
attach=$!
has_session() { [ -e /sys/class/iscsi_session/session* ]; }
check "there is a session" wait_until 20 has_session
kill -STOP $iscsid_pid
ended() { ! kill -0 $attach 2>/dev/null; }
check "the command ends" wait_until 60 ended
status=0
wait $attach || status=$?
check "something is left, it says" equal "$status" 2
id=$(field '.[0].id' <(hawser list --json))
hawser log "$id"
check "the log has it" grep -q session <<<"$(hawser log "$id")"
kill -CONT $iscsid_pid
portal_up 2
reaped

say "a scan does not return"
commands -A
returns 10 2 attach --json --timeout 10 $(volume)
hawser log "$(field '.[0].id' <(hawser list --json))" >/run/log
cat /run/log
check "the log has what is left" grep -q 'device' /run/log
commands -D
reaped

say "iscsid says nothing to a detach"
expect_exit 0 hawser attach --json $(volume)
id=$(field .id) path=$(field .path)
kill -STOP $iscsid_pid
returns 10 4 detach --json --timeout 10 "$id"
write_pattern "$path" 1
check "the volume works" read_pattern "$path"
kill -CONT $iscsid_pid
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

say "no command of a detach by force is answered, nor would it be for ten minutes"
expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
udevadm settle --timeout=60
for timeout in /sys/class/iscsi_session/session*/recovery_tmo; do echo 600 >"$timeout"; done
commands -A
returns 60 0 detach --json --force --timeout 60 "$id"
check "it says that it was not flushed" equal "$(field .flushed)" false
check "its process has ended" wait_until 10 no_hawser
check "nothing is left" nothing_left
commands -D

say "a disk is not deleted by the deadline"
expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
udevadm settle --timeout=60
for timeout in /sys/class/iscsi_session/session*/recovery_tmo; do echo 600 >"$timeout"; done
commands -A
returns 10 2 detach --json --force --timeout 10 "$id"
check "the kernel deletes it still" is_stuck
check "the log has what is left" equal "$(field '.[0].status' <(hawser list --json))" detaching
commands -D
reaped

say "udev never settles"
kill -STOP $udevd_pid
returns 60 0 attach --json --timeout 60 $(volume)
cat /run/out
id=$(field .id)
returns 10 0 detach --json --timeout 10 "$id"
cat /run/out
kill -CONT $udevd_pid
reaped

say "a lock is never freed"
portal_down 2
"$HAWSER" attach --json --timeout 60 --login-timeout 30 --min-paths 2 $(volume) >/run/first 2>&1 &
first=$!
check "it waits for the second portal" wait_until 20 has_session
find_worker $first
has_log() { [[ $(readlink "/proc/$worker/fd/"*) == *"$STATE"/*.log* ]]; }
check "the one that is stopped has the log" has_log
kill -STOP $worker
for verb in attach detach; do
  returns 4 1 $verb --json --timeout 4 $(volume)
  check "$verb says that another is at it" equal "$(field .error.code)" busy
done
kill -KILL $first $worker
wait $first || true
portal_up 2
reaped
