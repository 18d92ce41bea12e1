# The host is started again under two volumes that are attached and a third in the middle of its attach:
# nothing claims to be attached, what was left on disk is undone, and which unit a volume was is
# remembered and compared when it is attached again.
# Keeps: R6
storage() {
  make_portals 2
  make_target "$TARGET"
  for n in 1 2 3; do make_lun "volume$n" 16; done
  for n in 1 2 3; do add_lun "$TARGET" $n "${!n}"; done
  start_daemons udevd iscsid
  load_multipath
}
volume() { echo --node-record --target "$TARGET" --lun "$1" --portal 10.0.1.2 --portal 10.0.2.2; }
on_disk() { echo "$(node_records) $(wwids)"; }
node_records() { find $NODES -type f 2>/dev/null | wc -l; }
wwids() { grep -c '^/' /etc/multipath/wwids || true; }

boot_1() {
  storage volume1 volume2 volume3
  expect_exit 0 hawser attach --json $(volume 1)
  expect_exit 0 hawser attach --json $(volume 2)
  # In the middle, whenever that is: its intentions are in the log, and it is not committed.
  portal_down 2
  "$HAWSER" attach --json --min-paths 2 --login-timeout 60 $(volume 3) >/run/third 2>&1 &
  third_is_begun() { [ "$(ls "$STATE" | grep -c 'log$')" = 3 ] && grep -q done "$STATE"/*.log && [ -e /sys/block/dm-2 ]; }
  check "the third is in the middle" wait_until 30 third_is_begun
  say "on disk: $(on_disk)"
  expect_exit 0 hawser list --json
  check "two are attached" equal "$(field '[.[]|select(.status=="attached")]|length')" 2
  boot_again
}

boot_2() {
  # Behind the number of the second volume there is another unit by now.
  storage volume1 volume3 volume2
  check "node records were left on disk" test "$(node_records)" -gt 0
  check "and WWIDs" test "$(wwids)" -gt 0
  expect_exit 0 hawser list --json
  check "nothing claims to be attached" equal "$(field '[.[]|select(.status=="attached")]|length')" 0
  check "or to have a device" equal "$(field '[.[]|select(.path!=null)]|length')" 0

  expect_exit 0 hawser recover --json
  say "recovered: $(jq -c . /run/out)"
  check "the attach in the middle is undone" equal "$(field '.undone|length')" 1
  check "no node record and no WWID is left" equal "$(on_disk)" "0 0"
  check "no session was made" test ! -e /sys/class/iscsi_session/session1
  expect_exit 0 hawser recover --json
  check "once more has nothing to do" equal "$(field '[.undone,.completed,.kept,.failed]|map(length)|add')" 0

  expect_exit 0 hawser attach --json $(volume 1)
  check "the first is attached anew" equal "$(field '[.already_attached,.degraded]|join(" ")')" "false false"
  first=$(field .id)
  expect_exit 1 hawser attach --json $(volume 2)
  check "the second is another unit now, and refused" grep -q 'when it was attached before' <<<"$(field .error.message)"
  expect_exit 0 hawser attach --json $(volume 3)
  expect_exit 0 hawser detach --json "$(field .id)"
  expect_exit 0 hawser detach --json "$first"
  check "no session is left" test -z "$(ls /sys/class/iscsi_session)"
  check "no device is left" wait_until 20 sh -c '! ls -d /sys/block/sd* /sys/block/dm-* 2>/dev/null'
  check "nothing is left on disk" equal "$(on_disk)" "0 0"
}
