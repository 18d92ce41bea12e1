# Two NICs and two portals are four paths, each through the NIC that its iface names: by name, by
# hardware address, and as another initiator.
# Keeps: A15
make_storage 2
# Either NIC leads to either portal.
ip route add 10.0.1.0/24 dev i2 metric 500
ip route add 10.0.2.0/24 dev i1 metric 500
start_daemons udevd iscsid
load_multipath
mac=$(</sys/class/net/i2/address)
iscsiadm -m iface -I nic1 -o new >/dev/null
iscsiadm -m iface -I nic1 -o update -n iface.net_ifacename -v i1 >/dev/null
iscsiadm -m iface -I nic2 -o new >/dev/null
iscsiadm -m iface -I nic2 -o update -n iface.hwaddress -v "$mac" >/dev/null
iscsiadm -m iface -I nic2 -o update -n iface.initiatorname -v iqn.2026-11.org.example:second >/dev/null
ifaces=$(echo /*/iscsi/ifaces /var/lib/iscsi/ifaces | tr ' ' '\n' | grep -v '[*]' | head -n 1)
cat "$ifaces/nic2"
take_snapshot

words="--target $TARGET --lun 1 --portal 10.0.1.2 --portal 10.0.2.2"
expect_exit 0 hawser attach --json --min-paths 4 --iface nic1 --iface nic2 $words
cat /run/out
id=$(field .id)
check "four paths are active" equal "$(field '[.paths[]|select(.state=="active")|.portal + " " + .iface]|sort|join(", ")')" \
  "10.0.1.2:3260 nic1, 10.0.1.2:3260 nic2, 10.0.2.2:3260 nic1, 10.0.2.2:3260 nic2"
ss -tnH state established dport = :3260 >/run/connections
cat /run/connections
for nic in i1 i2; do check "two connections go through $nic" equal "$(grep -c "%$nic:" /run/connections)" 2; done
for f in /sys/class/iscsi_session/session*; do echo "$(<$f/ifacename) $(<$f/initiatorname)"; done | sort | uniq -c >/run/names
cat /run/names
check "two are the host's own initiator" grep -q "2 nic1 $INITIATOR" /run/names
check "two are the one that the iface names" grep -q '2 nic2 iqn.2026-11.org.example:second' /run/names
write_pattern "$(field .path)" 4
check "what was written is read back" read_pattern "$(field .path)"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left

jq -n --arg iqn "$TARGET" '{target_portal: "10.0.2.2:3260", target_iqn: $iqn, target_lun: 1, discovery: false, iface: "nic1"}' >/run/spec
expect_exit 0 hawser attach --json --node-record --spec /run/spec
check "a document may name the iface" equal "$(field '[.paths[].iface]|join(" ")')" nic1
check "the node record has its NIC" grep -rq 'iface.net_ifacename = i1' "${ifaces%/ifaces}/nodes"
expect_exit 0 hawser detach --json "$id"

# What cannot be used, and whatever else may lie there.
expect_exit 1 hawser attach --json --iface nic9 $words
check "an iface that is not there is named" grep -q 'ifaces/nic9' <<<"$(field .error.message)"
: >"$ifaces/empty"
head -c 3000 /dev/urandom >"$ifaces/binary"
head -c 40 "$ifaces/nic1" >"$ifaces/half"
printf 'iface.iscsi_ifacename = card\niface.transport_name = bnx2i\n' >"$ifaces/card"
for bad in empty binary half; do
  expect_exit 1 hawser attach --json --iface nic1 --iface $bad $words
  check "a damaged record is refused: $bad" grep -q "iface '$bad': its record is damaged" <<<"$(field .error.message)"
done
expect_exit 1 hawser attach --json --iface card $words
check "an offload card is not supported" equal "$(field .error.code)" unsupported
# This kernel has no iSER.
expect_exit 1 hawser attach --json --iface iser $words
check "iser is asked for, and said not to be there" grep -q ib_iser <<<"$(field .error.message)"
rm -f "$ifaces"/{empty,binary,half,card}
check "nothing is left" nothing_left
