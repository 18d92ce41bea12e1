# One portal is given: it is asked for the others of the same target, and only for those. With a
# discovery that fails the portal itself is used, and dead portals cost the grace.
# Keeps: A12
make_storage 3
# Another volume at the same LUN of another target, which every portal lists.
make_lun other 16
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 1 other
# At an address that leads nowhere: lists may be stale.
ip -netns tgt addr add 10.0.99.2/32 dev lo
listen_on "$TARGET" 10.0.99.2:3260
ip route add blackhole 10.0.99.0/24
start_daemons udevd iscsid multipathd
take_snapshot

jq -n --arg iqn "$TARGET" '{target_portal: "10.0.1.2:3260", target_iqn: $iqn, target_lun: 1}' >/run/spec
jq '. + {discovery: false}' /run/spec >/run/spec_off
expect_exit 0 hawser attach --json --grace 2 --spec /run/spec
cat /run/out
id=$(field .id)
check "three paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 3
check "all lead to the target" equal "$(field '[.paths[].target]|unique|join(" ")')" "$TARGET"
check "the other target was left alone" test "$(cat /sys/class/iscsi_session/*/targetname | sort -u)" = "$TARGET"
check "the dead portal is shown" grep -q '10.0.99.2' <<<"$(field '[.paths[]|select(.state!="active")|.portal]|join(" ")')"
expect_exit 0 hawser detach --json --spec /run/spec
check "the same specification detaches it" equal "$(field '.id, .was_attached')" "$id
true"
wait_until 20 hawser recover
check "nothing is left" nothing_left

expect_exit 0 hawser attach --json --spec /run/spec_off
check "without a discovery there is one path" equal "$(field '.paths|length')" 1
check "the id is the same" equal "$(field .id)" "$id"
expect_exit 0 hawser detach --json "$id"
expect_exit 0 hawser attach --json --multipath off --spec /run/spec
check "a single path asks for none" equal "$(field '.paths|length')" 1
expect_exit 0 hawser detach --json "$id"

# Several to ask, one of them dead.
portal_down 1
jq '. + {target_portals: ["10.0.1.2:3260", "10.0.2.2:3260"], discovery: true}' /run/spec >/run/spec_two
expect_exit 0 hawser attach --json --grace 1 --spec /run/spec_two
check "the living portal named the third" equal "$(field '[.paths[]|select(.state=="active")|.portal]|sort|join(" ")')" "10.0.2.2:3260,1 10.0.3.2:3260,1"
expect_exit 0 hawser detach --json --timeout 60 "$id"
portal_up 1
wait_until 20 hawser recover

# Nobody may ask: the portal itself is used, and that is said.
set_discovery_chap finder sesame-open-1
expect_exit 0 hawser attach --json --spec /run/spec
check "the portal that was given is used" equal "$(field '[.paths[]|select(.state=="active")]|length')" 1
check "and a warning says why" grep -q 'discovery of further portals failed' <<<"$(field '.warnings|join(" ")')"
expect_exit 0 hawser detach --json "$id"
jq '. + {discovery_auth_method: "CHAP", discovery_auth_username: "finder", discovery_auth_password: "sesame-open-1"}' /run/spec >/run/spec_chap
expect_exit 0 hawser attach --json --grace 2 --spec /run/spec_chap
check "with its secret the discovery works" equal "$(field '[.paths[]|select(.state=="active")]|length')" 3
expect_exit 0 hawser detach --json "$id"
wait_until 20 hawser recover
check "nothing is left" nothing_left
