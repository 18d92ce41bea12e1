# Another user of this host gets nothing out of hawser: no request of the one who listens in place of
# iscsid or multipathd, and no file in a state directory or lock directory that is not root's alone.
# Keeps: H6
make_storage 2
start_daemons udevd
load_multipath
NOBODY=65534
as_nobody=(setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups)
# squat NAME: nobody listens there, and says in /run/told how many bytes each caller sent.
squat() {
  "${as_nobody[@]}" perl -MSocket -e '
    $| = 1;
    socket(L, AF_UNIX, SOCK_STREAM, 0) && bind(L, pack_sockaddr_un("\0" . shift)) && listen(L, 9) or die $!;
    while (accept(C, L)) { $n = sysread(C, $bytes, 100000) // 0; print "$n\n"; close C }' "$1" >/run/told &
  squatter=$!
  wait_until 10 listens "$1" || fail "nobody listens on $1"
}
squatter_ends() { kill "$squatter" && wait "$squatter" || true; }
told_nothing() { wait_until 10 test -s /run/told && ! grep -qvx 0 /run/told; }
take_snapshot

(umask 077 && jq -n --arg iqn "$TARGET" '{target_iqn: $iqn, target_lun: 1, auth_username: "alice",
  auth_password: "correct-horse-1", target_portals: ["10.0.1.2:3260", "10.0.2.2:3260"]}' >/run/spec)
squat ISCSIADM_ABSTRACT_NAMESPACE
expect_exit 77 hawser attach --json --spec /run/spec
check "somebody else's iscsid is refused" equal "$(field .error.code)" permission_denied
check "and named" grep -q "uid $NOBODY" <<<"$(field .error.message)"
check "it was told nothing" told_nothing
squatter_ends
check "nothing is left" nothing_left

start_iscsid
squat /org/kernel/linux/storage/multipathd
expect_exit 0 hawser attach --json $(volume)
check "somebody else's multipathd stops no attach" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
expect_exit 0 hawser detach --json "$(field .id)"
check "it was told nothing" told_nothing
squatter_ends
check "nothing is left" nothing_left

# refused WORDS DIRECTORY: as a state directory.
refused() {
  expect_exit 77 hawser list --json --state-dir "$2"
  check "refused: $1" grep -q "$1" <<<"$(field .error.message)"
}
mkdir /run/theirs /run/everybodys /run/ours
chown $NOBODY /run/theirs
chmod 0777 /run/everybodys
chmod 0700 /run/ours
ln -s /run/ours /run/link
refused "belongs to uid $NOBODY" /run/theirs
refused "can be written by others" /run/everybodys
refused "symbolic link" /run/link
check "nothing was made there" test -z "$(ls -A /run/theirs)$(ls -A /run/everybodys)$(ls -A /run/ours)"

(umask 077 && : >/run/ours/locks)
chown $NOBODY /run/ours/locks
expect_exit 77 hawser attach --json --state-dir /run/ours $(volume)
check "a file of somebody else is refused" grep -q locks <<<"$(field .error.message)"
check "nothing was made there" equal "$(ls -A /run/ours)" locks
rm /run/ours/locks
check "nothing is left" nothing_left

# A lock directory that somebody made before any iscsiadm ran: /run/lock is everybody's.
chmod 1777 /run/lock
rm -rf /run/lock/iscsi
"${as_nobody[@]}" mkdir /run/lock/iscsi
expect_exit 0 hawser attach --json --node-record $(volume)
check "a planted lock directory is refused" grep -q "/run/lock/iscsi belongs to uid $NOBODY" <<<"$(field '.warnings[]')"
check "nothing was made there" test -z "$(ls -A /run/lock/iscsi)"
rmdir /run/lock/iscsi
expect_exit 0 hawser detach --json "$(field .id)"
check "nothing is left" nothing_left

# What an attach leaves for others to see.
expect_exit 0 hawser attach --json $(volume)
id=$(field .id)
check "the state directory is root's alone" equal "$(stat -c '%a %u' "$STATE")" "700 0"
check "and every file in it" equal "$(stat -c '%a %u %h' "$STATE"/* | sort -u)" "600 0 1"
expect_exit 77 "${as_nobody[@]}" "$HAWSER" list --json
expect_exit 0 hawser detach --json "$id"
check "nothing is left" nothing_left
