# What tools/demo shows. Facts and figures go to /mnt/results/demo.json; a check that does not hold is
# recorded, not fatal, so that the summary shows what was the case.
step() { say "$*"; }
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

step "making the storage: a kernel target with one 64 MiB volume behind four portals"
make_storage
start_daemons udevd iscsid multipathd
take_snapshot
case ${LAB_FAULT:-} in
  two-portals-dead)
    step "FAULT PLANTED: portals 3 and 4 swallow everything"
    portal_down 3
    portal_down 4
    ;;
esac

step "attaching over four portals: hawser attach $(volume | tr '\n' ' ')"
attach_status=0
hawser attach --json --log-level info --grace 3 $(volume) >/run/out 2>/run/err || attach_status=$?
sed 's/^/           /' /run/err >&3
if [ $attach_status -ne 0 ]; then
  jq '{ok: false, paths: 0, io_ok: false, path_loss_ok: false, error: .error}' /run/out >/mnt/results/demo.json
  step "attach failed: $(field .error.message)"
  exit 0
fi
attach_ms=$(field .elapsed_ms)
id=$(field .id) path=$(field .path) stable=$(field .stable_path)
paths=$(field '[.paths[]|select(.state=="active")]|length')
step "attached in $attach_ms ms as $path, $paths of 4 paths active"
step "stable path: $stable"

io_ok=false
write_pattern "$stable" 16 && read_pattern "$stable" && io_ok=true
step "wrote 16 MiB of random data and read it back: $io_ok"

active() { hawser show --json "$id" >/run/out && [ "$(field '[.paths[]|select(.state=="active")]|length')" -eq "$1" ]; }
step "cutting portal 2"
portal_down 2
path_loss_ok=false
start=$(now_ms)
if write_pattern "$stable" 16 && read_pattern "$stable"; then
  step "I/O went on: 16 MiB written and read back, in $(($(now_ms) - start)) ms with the loss in it"
  if wait_until 40 active $((paths - 1)); then
    step "path states: $(field '[.paths[]|"\(.device // "-") \(.portal) \(.state)"]|join(", ")')"
    step "bringing portal 2 back"
    portal_up 2
    if wait_until 60 active "$paths"; then
      step "all $paths paths are active again"
      path_loss_ok=true
    else
      step "the path did not come back: $(field '[.paths[]|"\(.device // "-") \(.state)"]|join(", ")')"
    fi
  fi
fi

step "detaching: hawser detach $id"
detach_status=0
hawser detach --json --log-level info "$id" >/run/out 2>/run/err || detach_status=$?
sed 's/^/           /' /run/err >&3
detach_ms=$(field '.elapsed_ms // null')
leftovers=$(count_leftovers)
if [ "$leftovers" = 0 ]; then
  step "nothing is left: no session, node record, SCSI device, map, udev link, WWID entry or log"
else
  step "LEFT OVER: $(tr '\n' ';' </run/differences)"
fi
ok=false
[ "$paths" = 4 ] && $io_ok && $path_loss_ok && [ $detach_status -eq 0 ] && [ "$leftovers" = 0 ] && ok=true
jq -n --argjson ok $ok --argjson paths "$paths" --argjson io_ok $io_ok \
  --argjson path_loss_ok $path_loss_ok --argjson leftovers "$leftovers" \
  --argjson attach_ms "$attach_ms" --argjson detach_ms "$detach_ms" \
  --argjson detach_status $detach_status \
  '{ok: $ok, paths: $paths, io_ok: $io_ok, path_loss_ok: $path_loss_ok, leftovers: $leftovers,
    attach_ms: $attach_ms, detach_ms: $detach_ms, detach_status: $detach_status}' >/mnt/results/demo.json
