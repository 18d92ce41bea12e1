# CHAP, mutual CHAP and discovery CHAP: right secrets attach; wrong ones say which side refused, at
# which portal, after one try. No secret is anywhere but in a file that root alone can read.
# Keeps: A13
make_storage 2
make_acl "$TARGET"
map_lun "$TARGET" 1 1
OUT=correct-horse-1 IN=battery-staple2 FIND=find-me-if-u3 FOUND=here-i-am-now4
start_daemons udevd iscsid
load_multipath
take_snapshot

# spec JSON: the volume, with these members besides.
spec() {
  jq -n --arg iqn "$TARGET" --argjson more "$1" '{target_iqn: $iqn, target_lun: 1,
    target_portals: ["10.0.1.2:3260", "10.0.2.2:3260"]} + $more' >/run/spec
}
one_way() { echo "{\"auth_method\": \"CHAP\", \"auth_username\": \"alice\", \"auth_password\": \"$1\"}"; }
mutual() {
  echo "{\"auth_method\": \"CHAP\", \"auth_username\": \"alice\", \"auth_password\": \"$OUT\",
    \"auth_username_in\": \"array\", \"auth_password_in\": \"$1\"}"
}
# Each try to log in is a TCP connection, and there are no others here.
connections() { awk '/^Tcp:/ && ++n == 2 { print $6 }' /proc/net/snmp; }
# refused WORDS: attaching what is in /run/spec fails as unauthenticated, for both portals, in these
# words, and after one try for each.
refused() {
  local before after
  before=$(connections)
  expect_exit 1 hawser attach --json --login-timeout 8 --spec /run/spec
  after=$(connections)
  check "refused: $1" equal "$(field .error.code) $(field .error.stage)" "unauthenticated login"
  check "each portal says so" equal "$(field "[.error.paths[]|select(.message|contains(\"$1\"))|.portal]|sort|join(\" \")")" "10.0.1.2:3260 10.0.2.2:3260"
  check "there was one try for each" equal $((after - before)) 2
}
# attached [OPTION...]: what is in /run/spec attaches on both paths; said aloud, and detached again.
attached() {
  expect_exit 0 hawser attach --json --log-level debug "$@" --spec - </run/spec
  cat /run/out /run/err >>/run/said
  check "both paths are active" equal "$(field '[.paths[]|select(.state=="active")]|length')" 2
  hawser log "$(field .id)" >>/run/said
  # Where a secret may be at all: what root alone can read.
  # (trace.log is that of this very script.)
  grep -D skip -rlF --exclude=trace.log -e "$OUT" -e "$IN" /var /run /etc/iscsi /tmp /mnt/results 2>/dev/null >/run/found || true
  cat /run/found
  rm -f /run/open
  while read -r file; do [ "$(stat -c %a "$file")" = 600 ] || echo "$file" >>/run/open; done </run/found
  check "no file that others can read has a secret" test ! -e /run/open
  check "the state directory has none" test -z "$(grep "^$STATE" /run/found)"
  expect_exit 0 hawser detach --json --log-level debug "$(field .id)"
  cat /run/out /run/err >>/run/said
}
(umask 077 && : >/run/spec && : >/run/said)

set_chap "$TARGET" alice "$OUT"
spec "$(one_way "$OUT")"
attached --node-record
check "nodes were kept from others: mode 600" grep -q '^/[a-z/]*iscsi/nodes/' /run/found
spec "$(one_way wrong-secret-1)"
refused "the target refused our CHAP credentials"
spec '{}'
refused "it asks for CHAP credentials"
check "nothing is left" nothing_left

set_chap "$TARGET" alice "$OUT" array "$IN"
spec "$(mutual "$IN")"
attached
spec "$(mutual wrong-secret-2)"
refused "this host refused the target"
spec "$(one_way wrong-secret-3)"
refused "the target refused our CHAP credentials"
check "nothing is left" nothing_left

# The same for SendTargets.
chap_file() { (umask 077 && printf '%s\n' "$@" >/run/chap); }
discovery_refused() {
  expect_exit 1 hawser discover --json --portal 10.0.1.2 "${@:2}"
  cat /run/out
  check "discovery refused: $1" equal "$(field .error.code) $(field .error.stage) $(field .error.portal)" "unauthenticated discover 10.0.1.2:3260"
  check "and by whom" grep -q "$1" <<<"$(field .error.message)"
}
set_discovery_chap finder "$FIND"
chap_file 'username = finder' "password = $FIND"
expect_exit 0 hawser discover --json --portal 10.0.1.2 --chap-file /run/chap
check "with the secret targets are listed" equal "$(field '.[0].target')" "$TARGET"
chap_file 'username = finder' 'password = wrong-secret-4'
discovery_refused "the portal refused our CHAP credentials" --chap-file /run/chap
discovery_refused "the portal refused our CHAP credentials, or asks for some"
# libiscsi 1.19 takes the bytes that pad LIO's reply, which are not zero, for text: with a name of six
# bytes there are none.
set_discovery_chap finder "$FIND" arrays "$FOUND"
chap_file 'username = finder' "password = $FIND" 'username_in = arrays' "password_in = $FOUND"
expect_exit 0 hawser discover --json --portal 10.0.1.2 --chap-file /run/chap
chap_file 'username = finder' "password = $FIND" 'username_in = arrays' 'password_in = wrong-secret-5'
discovery_refused "this host refused the portal" --chap-file /run/chap
check "nothing is left" nothing_left

cat /run/out /run/err >>/run/said
check "no secret was ever said" test -z "$(grep -F -e "$OUT" -e "$IN" -e "$FIND" -e "$FOUND" -e wrong-secret /run/said)"
check "nor by the daemons" test -z "$(grep -lF -e "$OUT" -e "$IN" -e "$FIND" -e "$FOUND" -e wrong-secret /mnt/results/*.log | grep -v trace.log)"
