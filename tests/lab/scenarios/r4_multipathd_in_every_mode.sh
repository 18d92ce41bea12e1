# multipathd may run in whichever mode, not at all, and be started anew in the middle: the map has all
# paths, and nothing that it did is left after detach. What its list of WWIDs had before stays.
# Keeps: R4
make_storage 2
start_daemons udevd iscsid
load_multipath
load sch_netem
# Another volume's entry, from an earlier life.
mkdir -p /etc/multipath
printf '# Valid WWIDs:\n/36001405deadbeef/\n' >/etc/multipath/wwids
take_snapshot

stop_multipathd() {
  kill $multipathd_pid
  wait_until 15 test ! -d /proc/$multipathd_pid
}
attach_both() {
  expect_exit 0 hawser attach --json --min-paths 2 $(volume)
  id=$(field .id) path=$(field .path)
  check "$1: both paths are in the map" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
}
detach_all() {
  expect_exit 0 hawser detach --json "$id"
  check "$1: nothing is left" nothing_left
}

attach_both "absent"
start_multipathd strict
nap; nap; nap
write_pattern "$path" 4
check "started over our map: what was written is read back" read_pattern "$path"
detach_all "started over our map"

for mode in strict yes smart no; do
  [ $mode = strict ] || { stop_multipathd; start_multipathd $mode; }
  attach_both "find_multipaths $mode"
  detach_all "find_multipaths $mode"
  check "find_multipaths $mode: it has no map" equal "$(multipathd show maps raw format '%w')" ok
  check "find_multipaths $mode: and no path" equal "$(multipathd show paths raw format '%d')" ok
done

attach_both "restarted after attach"
stop_multipathd
start_multipathd no
write_pattern "$path" 4
check "restarted after attach: what was written is read back" read_pattern "$path"
detach_all "restarted after attach"

attach_both "stopped after attach"
stop_multipathd
detach_all "stopped after attach"
start_multipathd yes

# Far portals, so that there is a middle.
for n in 1 2; do echo "qdisc add dev i$n root netem delay 200ms"; done | tc -batch -
"$HAWSER" attach --json --min-paths 2 $(volume) >/run/out 2>/run/err &
pid=$!
wait_until 30 test -e /sys/block/sda
stop_multipathd
start_multipathd yes
wait $pid || { cat /run/out /run/err; fail "attach failed while multipathd was restarted"; }
id=$(field .id)
check "restarted in the middle: both paths are in the map" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
detach_all "restarted in the middle"
check "the entry of another volume is still there" grep -qx /36001405deadbeef/ /etc/multipath/wwids
