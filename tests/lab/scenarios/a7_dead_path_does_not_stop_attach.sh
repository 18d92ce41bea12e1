# A disk that is there and cannot be read, and a path that dies right after its disk appeared, do not
# stop an attach while another path is good; and no map is handed out that has dead paths only.
# Keeps: A7, A10
make_portals 3
make_lun volume 64
# Each portal in a group of its own, so that they can differ in what they do with a read.
config=/sys/kernel/config/target
for n in 1 2 3; do
  tpg=$config/iscsi/$TARGET/tpgt_$n
  mkdir -p "$tpg"
  echo 0 >"$tpg/attrib/authentication"
  echo 1 >"$tpg/attrib/generate_node_acls"
  echo 0 >"$tpg/attrib/demo_mode_write_protect"
  echo 0 >"$tpg/attrib/cache_dynamic_acls"
  nsenter --net=/run/netns/tgt mkdir -p "$tpg/np/10.0.$n.2:3260"
  mkdir -p "$tpg/lun/lun_1"
  ln -s "$config/core/fileio_0/volume" "$tpg/lun/lun_1/volume"
  # The access state of the unit behind this portal; 0 reads and writes, 2 (standby) refuses both.
  alua=$config/core/fileio_0/volume/alua/group$n
  mkdir "$alua"
  echo $n >"$alua/tg_pt_gp_id"
  echo 3 >"$alua/alua_access_type"
  echo "group$n" >"$tpg/lun/lun_1/alua_tg_pt_gp"
  echo 1 >"$tpg/enable"
done
access() { echo "$2" >"$config/core/fileio_0/volume/alua/group$1/alua_access_state"; }
start_daemons udevd iscsid multipathd
take_snapshot

access 1 2
expect_exit 0 hawser attach --json $(volume 2)
check "the map has the good path" equal "$(field '[.paths[]|select(.state=="active")|.portal]|join(" ")')" 10.0.2.2:3260
check "of the other it is said why" grep -q 'cannot be read' <<<"$(field '.paths[]|select(.error!=null)|.error.message')"
check "its session is gone" equal "$(ls /sys/class/iscsi_session | wc -l)" 1
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

expect_exit 0 hawser attach --json --multipath off --log-level info $(volume 2)
check "without multipath the good one is used as well" equal "$(field '[.paths[]|select(.state=="active")|.portal]|join(" ")')" 10.0.2.2:3260
check "what was of no use was cleaned before the next was tried" equal "$(grep -oE 'logging (in|out)' /run/err | paste -sd,)" "logging in,logging out,logging in"
check "one session is there" equal "$(ls /sys/class/iscsi_session | wc -l)" 1
check "and one disk" equal "$(ls -d /sys/block/sd* | wc -l)" 1
expect_exit 0 hawser detach --json "$(field .id)"
access 2 2
expect_exit 1 hawser attach --json $(volume 2)
check "with both like that it fails" grep -q 'cannot be read' <<<"$(field '.error.paths[0].message')"
check "nothing is left" nothing_left
access 1 0
access 2 0

# Answers longer than those to a login and a scan get lost, so the first read hangs; then all does.
load xt_length
iptables-legacy -A INPUT -i i1 -m length --length 1000:65535 -j DROP
"$HAWSER" attach --json --grace 2 --login-timeout 4 $(volume 2) >/run/out 2>/run/err &
pid=$!
have_appeared() { [ -e /sys/block/sda ] && [ -e /sys/block/sdb ]; }
wait_until 20 have_appeared
portal_down 1
wait $pid || { cat /run/out /run/err; fail "a path that died stopped the attach"; }
check "the map has the good path" equal "$(field '[.paths[]|select(.state=="active")|.portal]|join(" ")')" 10.0.2.2:3260
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
iptables-legacy -F INPUT
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

# The only path that is in dies before the grace for the other is over.
portal_down 2
hawser attach --json --min-paths 1 --grace 4 --login-timeout 40 $(volume 2) >/run/out 2>/run/err &
pid=$!
has_map() { [ -e /sys/block/dm-0 ]; }
wait_until 20 has_map || fail "no map was made"
portal_down 1
end=$((SECONDS + 10 * LAB_SLOWNESS))
while [ "$SECONDS" -lt $end ]; do nap; done
check "a map without a path that answers is not handed out" test -d /proc/$pid
portal_up 2
wait $pid || { cat /run/out /run/err; fail "the path that came late was not taken"; }
check "it is when the other is in" grep -q '10.0.2.2' <<<"$(field '.paths[]|select(.state=="active")|.portal')"
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
portal_up 1
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

# A path that is in goes offline before the last one is in, and multipathd takes it out of the map:
# the kernel lets nobody put it in again.
portal_down 3
hawser attach --json --min-paths 3 --login-timeout 40 $(volume) >/run/out 2>/run/err &
pid=$!
has_two_paths() { [ "$(dmsetup table --target multipath | grep -oE '8:[0-9]+' | wc -l)" = 2 ]; }
wait_until 20 has_two_paths || fail "two paths did not come"
portal_down 1
is_offline() { grep -q offline /sys/block/sd?/device/state; }
wait_until 30 is_offline || fail "no disk went offline"
lost=$(basename "$(dirname "$(dirname "$(grep -l offline /sys/block/sd?/device/state)")")")
multipathd del path "$lost"
portal_up 3
wait $pid || { cat /run/out /run/err; fail "a path that was lost stopped the attach"; }
check "the map has the two good paths" equal "$(field '[.paths[]|select(.state=="active")|.portal]|join(" ")')" "10.0.2.2:3260 10.0.3.2:3260"
check "of the other it is said why" grep -q "10.0.1.2:3260: $lost is left out of the map" <<<"$(field '.warnings[]')"
id=$(field .id) path=$(field .path)
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
portal_up 1
is_complete() { hawser show --json --join "$id" >/run/out 2>/run/err && equal "$(field .degraded)" false; }
wait_until 30 is_complete || { cat /run/out; fail "the path did not come back"; }
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
