# iSER: the sessions of the iface "iser" go over RDMA, here soft RoCE, to LIO's own iSER portals.
# Keeps: A15
# Labs: qemu
load rdma_rxe ib_isert ib_iser
make_lun volume 64
tpg=/sys/kernel/config/target/iscsi/$TARGET/tpgt_1
# Not make_target: LIO finds no RDMA device for a portal of another namespace.
for n in 1 2; do
  ip link add "i$n" type veth peer name "t$n"
  ip addr add "10.0.$n.1/24" dev "i$n"
  ip addr add "10.0.$n.2/24" dev "t$n"
  ip link set "i$n" up
  ip link set "t$n" up
  rdma link add "rxe_i$n" type rxe netdev "i$n"
  rdma link add "rxe_t$n" type rxe netdev "t$n"
  mkdir -p "$tpg/np/10.0.$n.2:3260"
  echo 1 >"$tpg/np/10.0.$n.2:3260/iser"
done
echo 0 >"$tpg/attrib/authentication"
echo 1 >"$tpg/attrib/generate_node_acls"
echo 0 >"$tpg/attrib/demo_mode_write_protect"
echo 0 >"$tpg/attrib/cache_dynamic_acls"
echo 1 >"$tpg/enable"
add_lun "$TARGET" 1 volume
load_multipath
start_daemons udevd iscsid multipathd
take_snapshot

expect_exit 0 hawser attach --json --min-paths 2 --iface iser $(volume 2)
cat /run/out
id=$(field .id) path=$(field .path)
check "both paths are active" equal "$(field '[.paths[]|select(.state=="active")|.portal]|sort|join(" ")')" "10.0.1.2:3260 10.0.2.2:3260"
check "they are the iface's" equal "$(field '[.paths[].iface]|unique|join(" ")')" iser
drivers() { cat /sys/class/iscsi_host/host*/device/scsi_host/host*/proc_name | sort | uniq -c | tr -s ' '; }
check "their sessions go over RDMA" equal "$(drivers)" " 2 iscsi_iser"
write_pattern "$path" 4
check "what was written is read back" read_pattern "$path"
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
