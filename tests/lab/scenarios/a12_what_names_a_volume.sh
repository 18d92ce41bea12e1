# Everything that a specification can name a volume by: LUNs beyond 255 and flat addressing, IPv6,
# host names, group tags, portals that are named twice, several targets.
# Keeps: A12, H5
make_portals 2
add_portal_v6 1
add_portal_v6 2
make_lun volume 16
make_target "$TARGET"
listen_on "$TARGET" "[fd00:1::2]:3260" "[fd00:2::2]:3260"
# A link-local address is one only together with the NIC.
ip -netns tgt addr add fe80::2/64 dev t1 nodad
listen_on "$TARGET" "[::]:3262"
# LIO takes the two bytes of the LUN as a number, so 0x4000 | lun is flat addressing.
for lun in 255 300 $((0x4000 | 1)) $((0x4000 | 256)) $((0x4000 | 16383)); do add_lun "$TARGET" $lun volume; done
# The same unit behind another target, as arrays do that have a name for each port.
make_target "$OTHER_TARGET"
add_lun "$OTHER_TARGET" 7 volume
# As long as RFC 7143 allows: 223 bytes.
printf -v LONG_TARGET '%s:%0*d' iqn.2026-11.org.example 199 0
make_target "$LONG_TARGET"
add_lun "$LONG_TARGET" 1 volume
add_host 10.0.1.2 10.0.2.2 fd00:1::2 array.example
add_host 10.0.1.2 one.example
start_daemons udevd iscsid
load_multipath
take_snapshot

# spec LUN PORTAL...: one target, any portals.
spec() {
  jq -n --arg iqn "$TARGET" --argjson lun "$1" '{target_iqn: $iqn, target_lun: $lun,
    target_portals: $ARGS.positional} + $more' --argjson more "${more:-{\}}" --args "${@:2}" >/run/spec
}
# attaches "WHAT" PATHS: attaches what is in /run/spec with so many paths, and detaches it again.
attaches() {
  local how=required
  [ "$2" -gt 1 ] || how=off
  expect_exit 0 hawser attach --json --multipath $how --min-paths "$2" --spec /run/spec
  check "$1: $2 paths" equal "$(field '[.paths[]|select(.state=="active")]|length')" "$2"
  cp /run/out /run/attached
  expect_exit 0 hawser detach --json --spec /run/spec
  check "$1: detached by the same specification" equal "$(field .was_attached)" true
}

spec 255 10.0.1.2
attaches "LUN 255" 1
check "LUN 255 has peripheral addressing" equal "$(field '.paths[0].hctl|split(":")[3]' /run/attached)" 255
spec 256 10.0.1.2
attaches "LUN 256" 1
spec '"16383"' 10.0.1.2:3260,1
attaches "LUN 16383" 1
check "it has flat addressing" equal "$(field '.paths[0].hctl|split(":")[3]' /run/attached)" 32767
more='{"addressing_mode": "SAM"}' spec 300 10.0.1.2
attaches "LUN 300 as a plain number" 1
check "plain as asked for" equal "$(field '.paths[0].hctl|split(":")[3]' /run/attached)" 300
more='{"addressing_mode": "SAM3-flat"}' spec 1 10.0.2.2
attaches "LUN 1 with flat addressing" 1
check "flat as asked for" equal "$(field '.paths[0].hctl|split(":")[3]' /run/attached)" 16385

spec 255 '[fd00:1::2]' '[FD00:0002::0002]:3260,1'
attaches "IPv6, in two spellings" 2
spec 255 '[fe80::2%i1]:3262'
attaches "a link-local address" 1
spec 255 array.example
attaches "a name with three addresses" 3
check "each has its own" equal "$(field '[.paths[].portal]|sort|join(" ")' /run/attached)" "10.0.1.2:3260 10.0.2.2:3260 [fd00:1::2]:3260"
spec 255 10.0.1.2 10.0.1.2:3260,1 one.example 10.0.2.2 10.0.1.2
attaches "a portal named four ways" 2
check "what is one path is noted" grep -q twice <<<"$(field '.warnings|join(" ")' /run/attached)"

jq -n --arg a "$TARGET" --arg b "$OTHER_TARGET" '{target_portals: ["10.0.1.2:3260", "10.0.2.2:3260"],
  target_iqns: [$a, $b], target_luns: [255, 7], target_portal: "10.0.1.2:3260", target_iqn: $a, target_lun: 255}' >/run/spec
attaches "two targets with a LUN each" 2
expect_exit 0 hawser attach --json --spec /run/spec
id=$(field .id)
expect_exit 1 hawser detach --json --target "$OTHER_TARGET" --lun 7 --portal 10.0.2.2
check "by one of them it is not taken for detached" grep -q "is attached as $id" <<<"$(field .error.message)"
expect_exit 0 hawser detach "$id"

jq -n --arg iqn "$LONG_TARGET" '{target_portals: ["10.0.1.2:3260"], target_iqn: $iqn, target_lun: 1}' >/run/spec
check "the name has 223 bytes" equal ${#LONG_TARGET} 223
attaches "a name at the limit" 1
jq '.target_iqn += "0"' /run/spec >/run/spec_long
expect_exit 64 hawser attach --json --spec /run/spec_long
check "one byte more is refused" grep -q 'target_iqn' <<<"$(field .error.message)"

spec 255 no.such.example
expect_exit 1 hawser attach --json --spec /run/spec
check "a name without an address says so" equal "$(field .error.stage)" resolve
check "and which" equal "$(field .error.portal)" "no.such.example:3260"
spec 255 no.such.example 10.0.2.2
attaches "a name without an address beside a good portal" 1
check "what is not used is said" grep -q 'no.such.example:3260 is not used' <<<"$(field '.warnings|join(" ")' /run/attached)"
for wrong in fd00:1::2:3260 '[fd00:1::2' '10.0.1.2:0' ''; do
  spec 255 "$wrong"
  expect_exit 64 hawser attach --json --spec /run/spec
  check "no portal: '$wrong'" grep -q 'target_portals\[0\]' <<<"$(field .error.message)"
done
check "nothing is left" nothing_left
