# open-iscsi's database is full of rubbish, and its lock was left by somebody dead: an attach that
# should write node records does without, says so, and touches nothing of it.
# Keeps: H2
make_storage 2
start_daemons udevd iscsid
load_multipath
nodes=/etc/iscsi/nodes
mkdir -p "$nodes/$TARGET/10.0.1.2,3260,1"
head -c 5000 /dev/urandom >"$nodes/$TARGET/10.0.1.2,3260,1/default"
# As open-iscsi kept records before it had portal groups: a file where now a directory is.
: >"$nodes/$TARGET/10.0.2.2,3260,1"
printf '# BEGIN RECORD 2.1.8\nnode.na' >"$nodes/half"
take_snapshot
pictures() { find /etc/iscsi/nodes -printf '%p %s %m\n' | sort && find /etc/iscsi/nodes -type f -exec md5sum {} + | sort; }
pictures >/run/nodes_before

# attaches "WHAT": with node records, on both paths, and nothing in the database has changed.
attaches() {
  expect_exit 0 hawser attach --json --node-record --min-paths 2 $(volume)
  check "$1: both paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
  cp /run/out /run/attached
  expect_exit 0 hawser detach --json "$(field .id)"
  pictures >/run/nodes_after
  check "$1: the database is as it was" cmp /run/nodes_before /run/nodes_after
}
attaches "rubbish"
check "the record that could not be written is named" grep -q 'no node record: .*10.0.2.2' <<<"$(field '.warnings|join(" ")' /run/attached)"

rm "$nodes/$TARGET/10.0.2.2,3260,1"
pictures >/run/nodes_before
mkdir -p /run/lock/iscsi
: >/run/lock/iscsi/lock.write
attaches "a lock without an owner"
check "the lock is named" grep -q 'lock.write' <<<"$(field '.warnings|join(" ")' /run/attached)"
check "it is left alone" test -e /run/lock/iscsi/lock.write
rm /run/lock/iscsi/lock.write

rm -r "$nodes"
: >"$nodes"
take_snapshot
pictures >/run/nodes_before
attaches "no directory"
check "nothing is left" nothing_left
