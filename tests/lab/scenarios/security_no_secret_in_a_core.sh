# A core of the command, taken by the kernel after an attach with mutual CHAP, does not hold its secrets;
# one that is taken while the login is not answered does, so that the search is known to find them.
# Keeps: H6
make_storage 2
make_acl "$TARGET"
map_lun "$TARGET" 1 1
OUT=correct-horse-1 IN=battery-staple2
set_chap "$TARGET" alice "$OUT" array "$IN"
start_daemons udevd iscsid
load_multipath
(umask 077 && jq -n --arg iqn "$TARGET" --arg out "$OUT" --arg in "$IN" '{target_iqn: $iqn, target_lun: 1,
  target_portals: ["10.0.1.2:3260", "10.0.2.2:3260"], auth_method: "CHAP", auth_username: "alice",
  auth_password: $out, auth_username_in: "array", auth_password_in: $in}' >/run/spec)
CORE=/dev/shm/core
echo $CORE >/proc/sys/kernel/core_pattern
echo 0 >/proc/sys/kernel/core_uses_pid
ulimit -c unlimited
take_snapshot
# take_core: the kernel writes it when it ends the process.
take_core() {
  rm -f $CORE
  kill -ABRT $worker
  wait $hawser || true
  check "there is a core" test -s $CORE
  check "which knows the target" grep -qaF "$TARGET" $CORE
}
# A part of a secret is a leak.
has_secret() { grep -qaF -e "${OUT:0:8}" -e "${OUT: -8}" -e "${IN:0:8}" -e "${IN: -8}" $CORE; }

kill -STOP "$iscsid_pid"
"$HAWSER" attach --json --spec /run/spec >/run/out 2>&1 &
hawser=$!
wait_until 20 find_worker $hawser
waits() { [[ $(</proc/$worker/status) == *State:*S\ \(*Threads:*[2-9]* ]]; }
wait_until 20 waits
for i in 1 2 3 4 5; do nap; done
take_core
check "before the login is answered the secrets are there" has_secret
kill -CONT "$iscsid_pid"
expect_exit 0 hawser recover --json
check "nothing is left" nothing_left

# It is done and wants to say so, but nobody takes the answer.
mkfifo /run/full
exec {full}<>/run/full
dd if=/dev/zero of=/run/full bs=64k count=1 status=none
"$HAWSER" attach --json --node-record --spec /run/spec >/run/full 2>/run/err &
hawser=$!
wait_until 20 find_worker $hawser
is_committed() { grep -qs 'commit attach' "$STATE"/*.log; }
wait_until 60 is_committed || fail "it does not attach"
is_alone() { [[ $(</proc/$worker/status) == *Threads:?1$'\n'* ]]; }
check "what is left to do is to answer" wait_until 20 is_alone
take_core
check "after the call no secret is there" eval '! has_secret'
exec {full}>&-
expect_exit 0 hawser list --json
expect_exit 0 hawser detach --json "$(field '.[0].id')"
check "nothing is left" nothing_left
