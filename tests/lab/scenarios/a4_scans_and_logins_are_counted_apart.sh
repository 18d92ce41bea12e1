# How often a LUN is scanned for has nothing to do with how often a portal is tried, with multipath or
# without. A LUN that is mapped after the first scan is found by a later one. What took several tries
# is one line in the log, with their number and the last cause; what is normal is none.
# Keeps: A4, A11
make_portals 2
make_lun volume 64
make_lun other 16
make_target "$TARGET"
add_lun "$TARGET" 2 other
start_daemons udevd iscsid multipathd
take_snapshot

# scans ARGUMENTS...: how often LUN 9, which is not there, is scanned for on one path.
scans() {
  expect_exit 1 strace -f -o /run/trace -e trace=write "$HAWSER" attach --json --log-level info \
    --target "$TARGET" --discovery off --portal 10.0.1.2 --lun 9 --scan-interval 0.2 "$@"
  grep -c '"0 0 9"' /run/trace
}
check "four scans after one login" equal "$(scans --scan-tries 4 --login-tries 1)" 4
check "the error says how many there were" grep -q 'scan: 4 tries, the last one: .*no LUN 9' <<<"$(field .error.message)"
check "the log says it in one line" equal "$(grep -c 'path.failed' /run/err)" 1
check "two scans with three tries to log in" equal "$(scans --scan-tries 2 --login-tries 3)" 2
check "the same without multipath" equal "$(scans --scan-tries 3 --login-tries 2 --multipath off)" 3
check "nothing is left" nothing_left

# The portal refuses: it is tried as often as was asked for, whatever the scans.
iptables-legacy -A OUTPUT -o i2 -p tcp --dport 3260 --syn -j REJECT --reject-with tcp-reset
refused() { iptables-legacy -L OUTPUT -v -x -n | sed -n 's/^ *\([0-9]*\) .*REJECT.*/\1/p'; }
for how in preferred off; do
  iptables-legacy -Z OUTPUT
  expect_exit 1 hawser attach --json --multipath $how --log-level info --target "$TARGET" --discovery off \
    --portal 10.0.2.2 --lun 2 --login-tries 3 --scan-tries 1 --login-timeout 3
  check "$how: three connections were refused" equal "$(refused)" 3
  check "$how: the log says it in one line" equal "$(grep -c 'login: 3 tries, the last one: .*no TCP connection' /run/err)" 1
  check "$how: and in no other" equal "$(grep -c 'no TCP connection' /run/err)" 1
done
iptables-legacy -F OUTPUT
check "nothing is left" nothing_left

# The LUN is mapped once the session is there.
for how in preferred off; do
  hawser attach --json --multipath $how --log-level info --scan-tries 50 --scan-interval 0.3 --timeout 60 \
    --target "$TARGET" --discovery off --portal 10.0.1.2 --lun 1 >/run/out 2>/run/err &
  pid=$!
  logged_in() { [[ $(cat /sys/class/iscsi_session/session*/state 2>/dev/null) == LOGGED_IN ]]; }
  wait_until 20 logged_in
  nap; nap; nap; nap; nap
  add_lun "$TARGET" 1 volume
  wait $pid || { cat /run/out /run/err; fail "$how: the LUN was not found"; }
  check "$how: one line says how many scans it took" equal "$(grep -c 'scan: worked at try [0-9]*; before it: .*no LUN 1' /run/err)" 1
  check "$how: and no other speaks of it" equal "$(grep -c 'no LUN 1' /run/err)" 1
  expect_exit 0 hawser detach --json "$(field .id)"
  rm "/sys/kernel/config/target/iscsi/$TARGET/tpgt_1/lun/lun_1/volume"
  rmdir "/sys/kernel/config/target/iscsi/$TARGET/tpgt_1/lun/lun_1"
  check "$how: nothing is left" nothing_left
done

# A clean attach and detach have nothing to warn of.
expect_exit 0 hawser attach --json --log-level warning --node-record --target "$TARGET" --discovery off --portal 10.0.1.2 --portal 10.0.2.2 --lun 2
check "a clean attach warns of nothing" equal "$(cat /run/err)$(field '.warnings|join(" ")')" ''
expect_exit 0 hawser detach --json --log-level warning "$(field .id)"
check "nor does a clean detach" equal "$(cat /run/err)$(field '.warnings|join(" ")')" ''
check "nothing is left" nothing_left
